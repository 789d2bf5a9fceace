#if !defined(__AVX2__) || !defined(__FMA__)
#error "kernels_avx2.cpp needs -mavx2 -mfma: see layers/cpu/kernels.cmake"
#endif
#define LOCKSTEP_ISA avx2
#define LOCKSTEP_VECTOR_WIDTH 8
#include "layers/cpu/kernels_impl.h"
