#pragma once
#include <cstdint>
#include <string>

namespace lockstep::cpu {

/// What oneDNN may use on this CPU, as its cpu_isa number: a larger one includes the smaller ones.
/// ONEDNN_MAX_CPU_ISA lowers it (AVX512_CORE, AVX2, SSE41): one knob for oneDNN and our kernels.
std::uint32_t usable_instruction_set();

/// Makes oneDNN and our kernels use no more than `isa`. Layouts of weight gradients differ between
/// instruction sets, so all ranks of a job take the lowest of theirs. Before any primitive is
/// created. @throws InternalError if that has happened already.
void use_instruction_set(std::uint32_t isa);

/// What use_instruction_set() was last given; usable_instruction_set() before.
std::uint32_t instruction_set_in_use();

/// How oneDNN convolves bfloat16 with the instruction set in use.
enum class Bf16Support {
  kEmulated,  // by f32 instructions: slower than f32
  kNative,    // avx512_bf16: twice the products of f32 an instruction
  kTiles,     // AMX: 16 times
};
Bf16Support bf16_support();

/// Of the oneDNN in use: "3.2.0".
std::string onednn_version();

/// "avx512_core", "avx2", "sse41", or oneDNN's number; for logs and checkpoints.
std::string instruction_set_name(std::uint32_t isa);

}  // namespace lockstep::cpu
