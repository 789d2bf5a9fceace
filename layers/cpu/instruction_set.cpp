#include "layers/cpu/instruction_set.h"

#include <oneapi/dnnl/dnnl.hpp>

#include "data/error.h"
#include "layers/cpu/kernels.h"

namespace lockstep::cpu {

namespace {

constexpr auto number(dnnl::cpu_isa isa) { return static_cast<std::uint32_t>(isa); }

const char* kernels_within(std::uint32_t isa) {
  if (isa >= number(dnnl::cpu_isa::avx512_core)) return "avx512";
  if (isa >= number(dnnl::cpu_isa::avx2)) return "avx2";
  return "baseline";
}

}  // namespace

std::uint32_t usable_instruction_set() { return number(dnnl::get_effective_cpu_isa()); }

void use_instruction_set(std::uint32_t isa) {
  if (isa < usable_instruction_set() &&
      dnnl::set_max_cpu_isa(static_cast<dnnl::cpu_isa>(isa)) != dnnl::status::success)
    throw InternalError("oneDNN refuses the instruction set " + instruction_set_name(isa) +
                        ": it was used before ranks had agreed");
  use_kernels(kernels_for(kernels_within(isa)));
}

std::string instruction_set_name(std::uint32_t isa) {
  using dnnl::cpu_isa;
  switch (static_cast<cpu_isa>(isa)) {
    case cpu_isa::sse41: return "sse41";
    case cpu_isa::avx: return "avx";
    case cpu_isa::avx2: return "avx2";
    case cpu_isa::avx2_vnni: return "avx2_vnni";
    case cpu_isa::avx512_core: return "avx512_core";
    case cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
    case cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
    case cpu_isa::avx512_core_fp16: return "avx512_core_fp16";
    case cpu_isa::avx512_core_amx: return "avx512_core_amx";
    default: return "oneDNN isa " + std::to_string(isa);
  }
}

}  // namespace lockstep::cpu
