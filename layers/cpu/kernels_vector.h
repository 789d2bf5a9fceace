#pragma once
// Vectors, and the walk over a tensor that all kernels share. See kernels_impl.h.
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
  typedef std::uint8_t Bytes __attribute__((vector_size(W)));
};
template <int W>
using Floats = typename VectorOf<W>::Floats;
template <int W>
using Doubles = typename VectorOf<W>::Doubles;
template <int W>
using Ints = typename VectorOf<W>::Ints;
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

/// Part of a tensor in which `width` channels lie side by side: `segments` runs of `rows` pixels,
/// the pixels `ld` elements apart, the runs `segment_stride` apart.
struct Piece {
  size_t offset;   // of its first element
  size_t channel;  // of its first element
  size_t width;
  size_t ld;
  size_t rows;
  size_t segments;
  size_t segment_stride;
};

/// Pixels that one f32 accumulator may see before it goes into a double.
constexpr size_t kPieceRows = 1024;

LOCKSTEP_INLINE inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/// Cuts `segments` runs of `rows` pixels into pieces of at most kPieceRows pixels.
template <class F>
LOCKSTEP_INLINE inline void cut(const Piece& whole, const F& f) {
  const size_t rows = smaller(whole.rows, kPieceRows);
  const size_t segments = rows == whole.rows ? kPieceRows / rows : 1;
  for (size_t s = 0; s < whole.segments; s += segments) {
    for (size_t r = 0; r < whole.rows; r += rows) {
      Piece piece = whole;
      piece.offset += s * whole.segment_stride + r * whole.ld;
      piece.rows = smaller(rows, whole.rows - r);
      piece.segments = smaller(segments, whole.segments - s);
      f(piece);
    }
  }
}

/// Calls f(piece) for pieces that cover the images. Where they begin follows from the geometry and
/// the number of images alone, so that every instruction set sums the same pieces.
template <class F>
LOCKSTEP_INLINE inline void for_each_piece(const Geometry& g, int images, const F& f) {
  const size_t channels = g.channels, pixels = g.pixels, n = images, block = g.block;
  if (pixels == 0 || n == 0) return;
  if (block == 0) {
    cut({0, 0, channels, channels, n * pixels, 1, 0}, f);
    return;
  }
  for (size_t c = 0; c < channels; c += block) {
    cut({c * pixels, c, block, block, pixels, n, channels * pixels}, f);
  }
}

/// Calls f(u, at) for the strip that begins at channel `c` of every pixel of the piece; `at` is the
/// element's offset in the tensor. `u`, constant after unrolling, runs over 0..U-1: kernels keep an
/// accumulator for each, so that the additions need not wait for one another.
template <int U, class F>
LOCKSTEP_INLINE inline void for_each_row(const Piece& piece, size_t c, const F& f) {
  for (size_t s = 0; s < piece.segments; ++s) {
    size_t at = piece.offset + s * piece.segment_stride + c;
    size_t row = 0;
    for (; row + U <= piece.rows; row += U, at += U * piece.ld) {
      LOCKSTEP_UNROLL for (int u = 0; u < U; ++u) f(u, at + u * piece.ld);
    }
    for (; row < piece.rows; ++row, at += piece.ld) f(0, at);
  }
}

/// Rows at a time for strips of N vectors: four vectors in all.
template <int N>
constexpr int kRows = N >= 4 ? 1 : 4 / N;

/// U rows of N accumulators, one per vector of the strip.
template <int W, int N, int U>
struct Accumulators {
  Floats<W> rows[U][N] = {};

  /// Adds the U rows up, into one float per channel of the strip.
  LOCKSTEP_INLINE inline void fold(float* totals) const {
    LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
      Floats<W> total = rows[0][v];
      LOCKSTEP_UNROLL for (int u = 1; u < U; ++u) total += rows[u][v];
      store<W>(totals + v * W, total);
    }
  }
};

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
