#pragma once
// Vectors, and strips of them that cover contiguous floats. See kernels_impl.h.
#include "layers/cpu/kernels.h"

#define LOCKSTEP_INLINE __attribute__((always_inline))
#define LOCKSTEP_UNROLL _Pragma("GCC unroll 16")

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

using std::size_t;

constexpr int kWidth = LOCKSTEP_VECTOR_WIDTH;

template <int W>
struct VectorOf {
  typedef float Floats __attribute__((vector_size(W * sizeof(float))));
  typedef double Doubles __attribute__((vector_size(W * sizeof(double))));
  typedef std::int32_t Ints __attribute__((vector_size(W * sizeof(std::int32_t))));
  typedef std::uint32_t Words __attribute__((vector_size(W * sizeof(std::uint32_t))));
  typedef std::uint8_t Bytes __attribute__((vector_size(W)));
};
template <int W>
using Floats = typename VectorOf<W>::Floats;
template <int W>
using Doubles = typename VectorOf<W>::Doubles;
template <int W>
using Ints = typename VectorOf<W>::Ints;
template <int W>
using Words = typename VectorOf<W>::Words;
template <int W>
using Bytes = typename VectorOf<W>::Bytes;

template <int W>
LOCKSTEP_INLINE inline Floats<W> load(const float* from) {
  Floats<W> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <int W>
LOCKSTEP_INLINE inline void store(float* to, Floats<W> v) {
  __builtin_memcpy(to, &v, sizeof v);
}

template <int W>
LOCKSTEP_INLINE inline Floats<W> broadcast(float value) {
  return value - Floats<W>{};
}

/// max(0, v), but NaN stays NaN: a diverged model must show.
template <int W>
LOCKSTEP_INLINE inline Floats<W> rectified(Floats<W> v) {
  const Floats<W> zero{};
  return zero > v ? zero : v;
}

/// v where y > 0, else 0.
template <int W>
LOCKSTEP_INLINE inline Floats<W> where_positive(Floats<W> y, Floats<W> v) {
  const Floats<W> zero{};
  return y > zero ? v : zero;
}

template <int W, int N, class F>
LOCKSTEP_INLINE inline void strips_of(size_t& begin, size_t end, const F& f) {
  for (; begin + W * N <= end; begin += W * N) f.template operator()<W, N>(begin);
}

/// Covers [0, n) with strips: f.operator()<W, N>(begin) does the N vectors of W floats from
/// `begin`. The narrow ones at the end do what a multiple of kWidth leaves.
template <class F>
LOCKSTEP_INLINE inline void for_each_strip(size_t n, const F& f) {
  size_t begin = 0;
  strips_of<kWidth, 4>(begin, n, f);
  strips_of<kWidth, 2>(begin, n, f);
  strips_of<kWidth, 1>(begin, n, f);
  if constexpr (kWidth > 8) strips_of<8, 1>(begin, n, f);
  if constexpr (kWidth > 4) strips_of<4, 1>(begin, n, f);
  strips_of<1, 1>(begin, n, f);
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
