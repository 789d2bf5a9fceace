// Plain x86-64: SSE2.
#define LOCKSTEP_ISA baseline
#define LOCKSTEP_VECTOR_WIDTH 4
#include "layers/cpu/kernels_impl.h"
