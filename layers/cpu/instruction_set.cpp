#include "layers/cpu/instruction_set.h"

#include <cpuid.h>

#include <algorithm>
#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>

#include "data/error.h"
#include "layers/cpu/kernels.h"

namespace lockstep::cpu {

namespace {

constexpr auto number(dnnl::cpu_isa isa) { return static_cast<std::uint32_t>(isa); }

struct Level {
  dnnl::cpu_isa isa;
  const char* name;      // as we print it
  const char* variable;  // as ONEDNN_MAX_CPU_ISA names it
};

constexpr Level kLevels[] = {
    {dnnl::cpu_isa::sse41, "sse41", "SSE41"},
    {dnnl::cpu_isa::avx, "avx", "AVX"},
    {dnnl::cpu_isa::avx2, "avx2", "AVX2"},
    {dnnl::cpu_isa::avx2_vnni, "avx2_vnni", "AVX2_VNNI"},
    {dnnl::cpu_isa::avx512_core, "avx512_core", "AVX512_CORE"},
    {dnnl::cpu_isa::avx512_core_vnni, "avx512_core_vnni", "AVX512_CORE_VNNI"},
    {dnnl::cpu_isa::avx512_core_bf16, "avx512_core_bf16", "AVX512_CORE_BF16"},
    {dnnl::cpu_isa::avx512_core_fp16, "avx512_core_fp16", "AVX512_CORE_FP16"},
    {dnnl::cpu_isa::avx512_core_amx, "avx512_core_amx", "AVX512_CORE_AMX"},
};

bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 24 & 1u) != 0;
}

/// What the CPU has. oneDNN cannot be asked: its answer fixes its choice.
std::uint32_t cpu_instruction_set() {
  using dnnl::cpu_isa;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!avx2) return number(cpu_isa::sse41);
  if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")))
    return number(cpu_isa::avx2);
  if (!__builtin_cpu_supports("avx512vnni")) return number(cpu_isa::avx512_core);
  if (!__builtin_cpu_supports("avx512bf16")) return number(cpu_isa::avx512_core_vnni);
  return number(has_amx() ? cpu_isa::avx512_core_amx : cpu_isa::avx512_core_bf16);
}

const char* kernels_within(std::uint32_t isa) {
  if (isa >= number(dnnl::cpu_isa::avx512_core)) return "avx512";
  if (isa >= number(dnnl::cpu_isa::avx2)) return "avx2";
  return "baseline";
}

std::uint32_t in_use = 0;  // set once, before kernels are made

}  // namespace

std::uint32_t usable_instruction_set() {
  const std::uint32_t own = cpu_instruction_set();
  const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (!limit) return own;
  for (const Level& level : kLevels)
    if (std::string_view(limit) == level.variable) return std::min(own, number(level.isa));
  return own;
}

void use_instruction_set(std::uint32_t isa) {
  if (isa < usable_instruction_set() &&
      dnnl::set_max_cpu_isa(static_cast<dnnl::cpu_isa>(isa)) != dnnl::status::success)
    throw InternalError("oneDNN refuses the instruction set " + instruction_set_name(isa) +
                        ": it was used before ranks had agreed");
  use_kernels(kernels_for(kernels_within(isa)));
  in_use = isa;
}

std::uint32_t instruction_set_in_use() { return in_use ? in_use : usable_instruction_set(); }

Bf16Support bf16_support() {
  const std::uint32_t isa = instruction_set_in_use();
  if (isa >= number(dnnl::cpu_isa::avx512_core_amx)) return Bf16Support::kTiles;
  if (isa >= number(dnnl::cpu_isa::avx512_core_bf16)) return Bf16Support::kNative;
  return Bf16Support::kEmulated;
}

std::string onednn_version() {
  const dnnl_version_t& v = *dnnl_version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

std::string instruction_set_name(std::uint32_t isa) {
  for (const Level& level : kLevels)
    if (number(level.isa) == isa) return level.name;
  return "oneDNN isa " + std::to_string(isa);
}

}  // namespace lockstep::cpu
