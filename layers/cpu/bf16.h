#pragma once
#include <bit>

#include "layers/cpu/kernels.h"

namespace lockstep::cpu {

// One stored element at a time, for code outside the tables of kernels (whose files may share no
// inline function with others).

inline float widened(float stored) { return stored; }
inline float widened(Bf16 stored) { return std::bit_cast<float>(std::uint32_t{stored.bits} << 16); }

/// The nearest number that T holds, of two the even one; NaN stays NaN.
template <class T>
T rounded(float value);

template <>
inline float rounded<float>(float value) {
  return value;
}

template <>
inline Bf16 rounded<Bf16>(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t nearest = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
  return {static_cast<std::uint16_t>((value != value ? quiet : nearest) >> 16)};
}

}  // namespace lockstep::cpu
