#include "layers/cpu/kernels.h"

#include <xmmintrin.h>

#include <string>

#include "data/error.h"
#include "layers/cpu/kernels_tables.h"

namespace lockstep::cpu {
namespace {

bool runs_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}

const Kernels*& table_in_use() {
  static const Kernels* table = &kernels_for(nullptr);
  return table;
}

}  // namespace

const Kernels& kernels_for(const char* limit) {
  const std::string name = limit ? limit : "avx512";
  if (name != "avx512" && name != "avx2" && name != "baseline") {
    throw ConfigError("unknown instruction set '" + name +
                      "': choose one of baseline, avx2, avx512 (the most that kernels may use)");
  }
  if (name == "avx512" && runs_avx512()) return avx512::kTable;
  if (name != "baseline" && runs_avx2()) return avx2::kTable;
  return baseline::kTable;
}

const Kernels& kernels() { return *table_in_use(); }

void use_kernels(const Kernels& table) { table_in_use() = &table; }

void flush_denormals() {
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushToZero | kDenormalsAreZero);
}

}  // namespace lockstep::cpu
