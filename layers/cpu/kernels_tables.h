#pragma once
#include "layers/cpu/kernels.h"

// One table per instruction set, each from a source file of its own with its own compiler flags.
// Those files define nothing else that the linker sees: an inline function shared between them
// could end up as its AVX-512 version in a program that runs on a CPU without.
namespace lockstep::cpu::baseline {
extern const Kernels kTable;
}
namespace lockstep::cpu::avx2 {
extern const Kernels kTable;
}
namespace lockstep::cpu::avx512 {
extern const Kernels kTable;
}
