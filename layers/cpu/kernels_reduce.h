#pragma once
// Per image and channel: global average and the gate of squeeze-excitation. See kernels_impl.h.
#include "layers/cpu/kernels_sums.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// Calls f(first, piece) for the pieces of one image after another: `first` is the place of the
/// piece's first channel in a tensor [N,C], the piece's offset counts from the first image.
template <class F>
LOCKSTEP_INLINE inline void for_each_image_piece(const Geometry& g, int images, const F& f) {
  const size_t channels = g.channels, pixels = g.pixels;
  for (size_t n = 0; n < static_cast<size_t>(images); ++n) {
    for_each_piece(g, 1, [&](Piece piece) LOCKSTEP_INLINE {
      piece.offset += n * channels * pixels;
      f(n * channels + piece.channel, piece);
    });
  }
}

/// totals[n,c] = factor * sum over pixels of term(at), f32 within a piece, double over the pieces.
template <class Term>
LOCKSTEP_INLINE inline void image_sums(const Geometry& g, int images, double factor, float* totals,
                                       const Term& term) {
  PieceSums sums = {};
  double so_far[kMaxPieceWidth] = {};
  size_t rows = 0;  // summed so far: the pieces of one group of channels follow one another
  for_each_image_piece(g, images, [&](size_t first, const Piece& piece) LOCKSTEP_INLINE {
    sum_piece(piece, sums,
              [&]<int W>(size_t at, Floats<W>, Floats<W>& sum, Floats<W>&)
                  LOCKSTEP_INLINE { sum += term.template operator()<W>(at); });
    for (size_t c = 0; c < piece.width; ++c) so_far[c] += sums.first[c];
    rows += piece.rows;
    if (rows < static_cast<size_t>(g.pixels)) return;
    for (size_t c = 0; c < piece.width; ++c) {
      totals[first + c] = static_cast<float>(factor * so_far[c]);
      so_far[c] = 0;
    }
    rows = 0;
  });
}

template <class T>
void global_average(const Geometry& g, int images, const T* x, float* y) {
  image_sums(g, images, 1.0 / g.pixels, y,
             [&]<int W>(size_t at) LOCKSTEP_INLINE { return load<W>(x + at); });
}

template <class T>
void channel_scale_backward_gate(const Geometry& g, int images, const T* dy, const T* x,
                                 float* dgate) {
  image_sums(g, images, 1.0, dgate,
             [&]<int W>(size_t at) LOCKSTEP_INLINE { return load<W>(dy + at) * load<W>(x + at); });
}

/// As if 16 channels lay side by side, whatever the layout: their sums, and what is left over.
template <class T>
void image_products(size_t n, int images, const T* a, const T* b, float* sums) {
  constexpr int kWide = 16;
  const Geometry g{kWide, static_cast<int>(n / kWide), 0};
  for (int image = 0; image < images; ++image, a += n, b += n) {
    float parts[kWide] = {};
    image_sums(g, 1, 1.0, parts,
               [&]<int W>(size_t at) LOCKSTEP_INLINE { return load<W>(a + at) * load<W>(b + at); });
    double sum = 0;
    for (int c = 0; c < kWide; ++c) sum += parts[c];
    for (size_t at = n - n % kWide; at < n; ++at) sum += (load<1>(a + at) * load<1>(b + at))[0];
    sums[image] = static_cast<float>(sum);
  }
}

template <class T>
void global_average_backward(const Geometry& g, int images, const float* dy, T* dx) {
  const float pixels = static_cast<float>(g.pixels);
  for_each_image_piece(g, images, [&](size_t first, const Piece& piece) LOCKSTEP_INLINE {
    float shares[kMaxPieceWidth];
    for (size_t c = 0; c < piece.width; ++c) shares[c] = dy[first + c] / pixels;
    for_each_vector<1>(piece, {shares},
                       [&]<int W>(size_t at, const Floats<W>* share)
                           LOCKSTEP_INLINE { store<W>(dx + at, share[0]); });
  });
}

template <class T>
void channel_scale(const Geometry& g, int images, const T* x, const float* gate, T* y) {
  for_each_image_piece(g, images, [&](size_t first, const Piece& piece) LOCKSTEP_INLINE {
    for_each_vector<1>(piece, {gate + first},
                       [&]<int W>(size_t at, const Floats<W>* factor)
                           LOCKSTEP_INLINE { store<W>(y + at, load<W>(x + at) * factor[0]); });
  });
}

template <class T>
void channel_scale_backward_data(const Geometry& g, int images, const T* dy, const float* gate,
                                 T* dx) {
  channel_scale(g, images, dy, gate, dx);
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
