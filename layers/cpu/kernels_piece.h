#pragma once
// Pieces of a tensor: the walk of all kernels that keep something per channel. See kernels_impl.h.
#include "layers/cpu/kernels_bf16.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

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

/// Pixels that go into f32 sums before these go into a double: at most, and where images are small,
/// at least.
constexpr size_t kMaxPieceRows = 1024;
constexpr size_t kMinPieceRows = 256;

/// Channels of a piece, at most: what is kept per channel lies on the stack.
constexpr size_t kMaxPieceWidth = 512;

LOCKSTEP_INLINE inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

LOCKSTEP_INLINE inline size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }

/// Cuts runs of pixels into pieces of equal numbers of rows, as near as can be.
template <class F>
LOCKSTEP_INLINE inline void cut_rows(const Piece& whole, const F& f) {
  const size_t rows = divide_up(whole.rows, divide_up(whole.rows, kMaxPieceRows));
  for (size_t row = 0; row < whole.rows; row += rows) {
    Piece piece = whole;
    piece.offset += row * whole.ld;
    piece.rows = smaller(rows, whole.rows - row);
    f(piece);
  }
}

/// Calls f(piece) for pieces that cover the images, in about the order of memory. Where they begin
/// follows from the geometry and the number of images alone, so that every instruction set sums the
/// same pieces.
template <class F>
LOCKSTEP_INLINE inline void for_each_piece(const Geometry& g, int images, const F& f) {
  const size_t channels = g.channels, pixels = g.pixels, n = images, block = g.block;
  if (pixels == 0 || n == 0) return;
  if (block == 0) {
    for (size_t c = 0; c < channels; c += kMaxPieceWidth) {
      const size_t width = smaller(kMaxPieceWidth, channels - c);
      cut_rows({c, c, width, channels, n * pixels, 1, 0}, f);
    }
    return;
  }
  const size_t stride = channels * pixels, together = divide_up(kMinPieceRows, pixels);
  for (size_t image = 0; image < n; image += together) {
    const size_t segments = smaller(together, n - image);
    for (size_t c = 0; c < channels; c += block) {
      cut_rows({image * stride + c * pixels, c, block, block, pixels, segments, stride}, f);
    }
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

/// One strip covers the piece: what is kept per channel stays in registers while the pixels pass.
LOCKSTEP_INLINE inline bool fits_registers(const Piece& piece) {
  return piece.width <= 4 * kWidth && (piece.width & (piece.width - 1)) == 0;
}

/// Calls f.operator()<W>(at, factors) for every vector of the piece; factors[i] are the vectors of
/// per_channel[i], which begin at the piece's first channel.
template <int kFactors, class F>
LOCKSTEP_INLINE inline void for_each_vector(const Piece& piece,
                                            const float* const (&per_channel)[kFactors],
                                            const F& f) {
  if (!fits_registers(piece)) {  // pixel by pixel: memory in order, factors from the cache
    for_each_row<1>(piece, 0, [&](int, size_t row) LOCKSTEP_INLINE {
      for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
          Floats<W> factors[kFactors];
          LOCKSTEP_UNROLL for (int i = 0; i < kFactors; ++i) {
            factors[i] = load<W>(per_channel[i] + c + v * W);
          }
          f.template operator()<W>(row + c + v * W, factors);
        }
      });
    });
    return;
  }
  for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
    Floats<W> factors[N][kFactors];
    LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
      LOCKSTEP_UNROLL for (int i = 0; i < kFactors; ++i) {
        factors[v][i] = load<W>(per_channel[i] + c + v * W);
      }
    }
    for_each_row<kRows<N>>(piece, c, [&](int, size_t at) LOCKSTEP_INLINE {
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) f.template operator()<W>(at + v * W, factors[v]);
    });
  });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
