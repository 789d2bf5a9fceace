#pragma once
// Vectors of stored bfloat16: widened when they are loaded, rounded when they are stored. See
// kernels_impl.h.
#include <immintrin.h>

#include "layers/cpu/kernels_vector.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

// GCC 12 turns __builtin_convertvector between 16 and 32 bits into many shuffles.
template <int W>
LOCKSTEP_INLINE inline Floats<W> load(const Bf16* from) {
#if defined(__AVX512F__)
  if constexpr (W == 16) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m512i wide = _mm512_maskz_cvtepu16_epi32(0xffff, bits);
    return (Floats<W>)((Words<W>)wide << 16);
  }
#endif
#if defined(__AVX2__)
  if constexpr (W == 8) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return (Floats<W>)_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16);
  }
#endif
  if constexpr (W == 4) {
    return (Floats<W>)_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadu_si64(from));
  }
  Words<W> bits;
  LOCKSTEP_UNROLL for (int i = 0; i < W; ++i) bits[i] = std::uint32_t{from[i].bits} << 16;
  return (Floats<W>)bits;
}

/// The bits of the nearest bfloat16, of two the even one, with their sign extended. A NaN whose
/// upper bits would be those of an infinity is made one that shows.
template <int W>
LOCKSTEP_INLINE inline Ints<W> rounded(Floats<W> v) {
  const Words<W> bits = (Words<W>)v;
  const Words<W> nearest = bits + 0x7fff + (bits >> 16 & 1), quiet = bits | 0x400000;
  return (Ints<W>)(v != v ? quiet : nearest) >> 16;
}

template <int W>
LOCKSTEP_INLINE inline void store(Bf16* to, Floats<W> v) {
  const Ints<W> bits = rounded<W>(v);
#if defined(__AVX512F__)
  if constexpr (W == 16) {
    const __m256i half = _mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)bits);
    __builtin_memcpy(to, &half, sizeof half);
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (W == 8) {
    const __m256i pairs = _mm256_packs_epi32((__m256i)bits, (__m256i)bits);
    const __m256i half = _mm256_permute4x64_epi64(pairs, 0x08);
    __builtin_memcpy(to, &half, W * sizeof(Bf16));
    return;
  }
#endif
  if constexpr (W == 4) {
    const __m128i half = _mm_packs_epi32((__m128i)bits, (__m128i)bits);
    __builtin_memcpy(to, &half, W * sizeof(Bf16));
    return;
  }
  LOCKSTEP_UNROLL for (int i = 0; i < W; ++i) to[i].bits = static_cast<std::uint16_t>(bits[i]);
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
