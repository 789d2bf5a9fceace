#pragma once
// Normalization: statistics, apply, and the two passes of its backward. See kernels_impl.h.
#include "layers/cpu/kernels_vector.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// The mean of a few pixels spread over the piece, per channel of the strip at `c`: near enough to
/// the channel's mean that f32 loses nothing about it. A single pixel may be an outlier.
template <int W, int N>
LOCKSTEP_INLINE inline void pivots_of(const Piece& piece, size_t c, const float* x,
                                      Floats<W>* pivot) {
  constexpr size_t kSamples = 8;
  LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) pivot[v] = Floats<W>{};
  for (size_t k = 0; k < kSamples; ++k) {
    const size_t segment = k * piece.segments / kSamples, row = k * piece.rows / kSamples;
    const float* from = x + piece.offset + segment * piece.segment_stride + row * piece.ld + c;
    LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) pivot[v] += load<W>(from + v * W);
  }
  LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) pivot[v] *= 1.0f / kSamples;
}

void channel_sums(const Geometry& g, int images, const float* x, double* sums) {
  const size_t channels = g.channels;
  for_each_piece(g, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      Floats<W> pivot[N];
      pivots_of<W, N>(piece, c, x, pivot);
      Accumulators<W, N, kRows<N>> sum, square;
      for_each_row<kRows<N>>(piece, c, [&](int u, size_t at) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
          const Floats<W> d = load<W>(x + at + v * W) - pivot[v];
          sum.rows[u][v] += d;
          square.rows[u][v] += d * d;
        }
      });
      float s[N * W], q[N * W], pivots[N * W];
      sum.fold(s);
      square.fold(q);
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) store<W>(pivots + v * W, pivot[v]);
      const double n = static_cast<double>(piece.rows * piece.segments);
      double* sums_of_strip = sums + piece.channel + c;
      for (int i = 0; i < N * W; ++i) {
        const double p = pivots[i], about_pivot = s[i];
        sums_of_strip[i] += about_pivot + n * p;
        sums_of_strip[channels + i] += q[i] + 2 * p * about_pivot + n * p * p;
      }
    });
  });
}

template <bool kResidual, bool kRelu>
void apply(const Geometry& g, int images, const float* x, const float* residual, float* y,
           const float* scale, const float* shift) {
  for_each_piece(g, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      Floats<W> a[N], b[N];
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        a[v] = load<W>(scale + piece.channel + c + v * W);
        b[v] = load<W>(shift + piece.channel + c + v * W);
      }
      for_each_row<kRows<N>>(piece, c, [&](int, size_t at) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
          Floats<W> value = load<W>(x + at + v * W) * a[v] + b[v];
          if constexpr (kResidual) value += load<W>(residual + at + v * W);
          if constexpr (kRelu) value = rectified<W>(value);
          store<W>(y + at + v * W, value);
        }
      });
    });
  });
}

void norm_apply(const Geometry& g, int images, const float* x, const float* residual, float* y,
                const float* scale, const float* shift, bool relu) {
  if (residual) {
    relu ? apply<true, true>(g, images, x, residual, y, scale, shift)
         : apply<true, false>(g, images, x, residual, y, scale, shift);
  } else {
    relu ? apply<false, true>(g, images, x, residual, y, scale, shift)
         : apply<false, false>(g, images, x, residual, y, scale, shift);
  }
}

template <bool kAdd, bool kMask, bool kWrite>
void backward_sums(const Geometry& geometry, int images, const float* dy0, const float* dy1,
                   const float* y, const float* x, const float* mean, float* g, double* sums) {
  const size_t channels = geometry.channels;
  for_each_piece(geometry, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      Floats<W> mu[N];
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) mu[v] = load<W>(mean + piece.channel + c + v * W);
      Accumulators<W, N, kRows<N>> sum, product;
      for_each_row<kRows<N>>(piece, c, [&](int u, size_t at) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
          const size_t i = at + v * W;
          Floats<W> value = load<W>(dy0 + i);
          if constexpr (kAdd) value += load<W>(dy1 + i);
          if constexpr (kMask) value = where_positive<W>(load<W>(y + i), value);
          const Floats<W> centred = load<W>(x + i) - mu[v];
          if constexpr (kWrite) store<W>(g + i, value);
          sum.rows[u][v] += value;
          product.rows[u][v] += value * centred;
        }
      });
      float s[N * W], q[N * W];
      sum.fold(s);
      product.fold(q);
      double* sums_of_strip = sums + piece.channel + c;
      for (int i = 0; i < N * W; ++i) {
        sums_of_strip[i] += s[i];
        sums_of_strip[channels + i] += q[i];
      }
    });
  });
}

void norm_backward_sums(const Geometry& geometry, int images, const float* dy0, const float* dy1,
                        const float* y, const float* x, const float* mean, float* g, double* sums) {
  if (dy1) {
    y ? backward_sums<true, true, true>(geometry, images, dy0, dy1, y, x, mean, g, sums)
      : backward_sums<true, false, true>(geometry, images, dy0, dy1, y, x, mean, g, sums);
  } else if (y) {
    backward_sums<false, true, true>(geometry, images, dy0, dy1, y, x, mean, g, sums);
  } else if (g && g != dy0) {
    backward_sums<false, false, true>(geometry, images, dy0, dy1, y, x, mean, g, sums);
  } else {
    backward_sums<false, false, false>(geometry, images, dy0, dy1, y, x, mean, g, sums);
  }
}

void norm_backward_data(const Geometry& geometry, int images, const float* g, const float* x,
                        float* dx, const float* a, const float* b, const float* k) {
  for_each_piece(geometry, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      Floats<W> av[N], bv[N], kv[N];
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        const size_t channel = piece.channel + c + v * W;
        av[v] = load<W>(a + channel);
        bv[v] = load<W>(b + channel);
        kv[v] = load<W>(k + channel);
      }
      for_each_row<kRows<N>>(piece, c, [&](int, size_t at) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
          const size_t i = at + v * W;
          store<W>(dx + i, av[v] * load<W>(g + i) + (bv[v] * load<W>(x + i) + kv[v]));
        }
      });
    });
  });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
