#if !defined(__AVX512F__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__) || \
    !defined(__AVX512BW__)
#error "kernels_avx512.cpp needs -mavx512f and its companions: see layers/cpu/kernels.cmake"
#endif
#define LOCKSTEP_ISA avx512
#define LOCKSTEP_VECTOR_WIDTH 16
#include "layers/cpu/kernels_impl.h"
