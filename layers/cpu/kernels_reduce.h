#pragma once
// Per image and channel: global average and the gate of squeeze-excitation. See kernels_impl.h.
#include "layers/cpu/kernels_vector.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// Calls f(image, piece), the piece's offset counted from the first image.
template <class F>
LOCKSTEP_INLINE inline void for_each_image_piece(const Geometry& g, int images, const F& f) {
  const size_t image_elements = static_cast<size_t>(g.channels) * static_cast<size_t>(g.pixels);
  for (int n = 0; n < images; ++n) {
    for_each_piece(g, 1, [&](Piece piece) LOCKSTEP_INLINE {
      piece.offset += static_cast<size_t>(n) * image_elements;
      f(static_cast<size_t>(n), piece);
    });
  }
}

/// totals[n,c] = factor * sum over pixels of term(at), f32 within a piece, double over the pieces.
template <class Term>
LOCKSTEP_INLINE inline void image_sums(const Geometry& g, int images, double factor, float* totals,
                                       const Term& term) {
  const size_t channels = g.channels, pixels = g.pixels, block = g.block;
  const size_t width = block ? block : channels;
  for (size_t n = 0; n < static_cast<size_t>(images); ++n) {
    for (size_t channel = 0; channel < channels; channel += width) {
      for_each_strip(width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
        double sums[N * W] = {};
        const Piece whole = {
            (n * channels + channel) * pixels, channel, width, width, pixels, 1, 0};
        cut(whole, [&](const Piece& piece) LOCKSTEP_INLINE {
          Accumulators<W, N, kRows<N>> sum;
          for_each_row<kRows<N>>(piece, c, [&](int u, size_t at) LOCKSTEP_INLINE {
            LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
              sum.rows[u][v] += term.template operator()<W>(at + v * W);
            }
          });
          float s[N * W];
          sum.fold(s);
          for (int i = 0; i < N * W; ++i) sums[i] += s[i];
        });
        float* out = totals + n * channels + channel + c;
        for (int i = 0; i < N * W; ++i) out[i] = static_cast<float>(factor * sums[i]);
      });
    }
  }
}

void global_average(const Geometry& g, int images, const float* x, float* y) {
  image_sums(g, images, 1.0 / g.pixels, y,
             [&]<int W>(size_t at) LOCKSTEP_INLINE { return load<W>(x + at); });
}

void channel_scale_backward_gate(const Geometry& g, int images, const float* dy, const float* x,
                                 float* dgate) {
  image_sums(g, images, 1.0, dgate,
             [&]<int W>(size_t at) LOCKSTEP_INLINE { return load<W>(dy + at) * load<W>(x + at); });
}

void global_average_backward(const Geometry& g, int images, const float* dy, float* dx) {
  const size_t channels = g.channels;
  const float pixels = static_cast<float>(g.pixels);
  for_each_image_piece(g, images, [&](size_t n, const Piece& piece) LOCKSTEP_INLINE {
    for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      Floats<W> value[N];
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        value[v] = load<W>(dy + n * channels + piece.channel + c + v * W) / pixels;
      }
      for_each_row<kRows<N>>(piece, c, [&](int, size_t at) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) store<W>(dx + at + v * W, value[v]);
      });
    });
  });
}

void channel_scale(const Geometry& g, int images, const float* x, const float* gate, float* y) {
  const size_t channels = g.channels;
  for_each_image_piece(g, images, [&](size_t n, const Piece& piece) LOCKSTEP_INLINE {
    for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      Floats<W> factor[N];
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        factor[v] = load<W>(gate + n * channels + piece.channel + c + v * W);
      }
      for_each_row<kRows<N>>(piece, c, [&](int, size_t at) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
          store<W>(y + at + v * W, load<W>(x + at + v * W) * factor[v]);
        }
      });
    });
  });
}

void channel_scale_backward_data(const Geometry& g, int images, const float* dy, const float* gate,
                                 float* dx) {
  channel_scale(g, images, dy, gate, dx);
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
