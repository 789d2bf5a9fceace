#pragma once
// Normalization: statistics, apply, and the two passes of its backward. See kernels_impl.h.
#include "layers/cpu/kernels_sums.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// centre = the mean of a few pixels spread over the piece: near enough to the channel's mean that
/// f32 loses nothing about it. A single pixel may be an outlier.
template <class T>
LOCKSTEP_INLINE inline void find_centre(const Piece& piece, const T* x, float* centre) {
  constexpr size_t kSamples = 8;
  const T* samples[kSamples];
  for (size_t k = 0; k < kSamples; ++k) {
    const size_t segment = k * piece.segments / kSamples, row = k * piece.rows / kSamples;
    samples[k] = x + piece.offset + segment * piece.segment_stride + row * piece.ld;
  }
  for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
    LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
      Floats<W> sum{};
      for (const T* sample : samples) sum += load<W>(sample + c + v * W);
      store<W>(centre + c + v * W, sum * (1.0f / kSamples));
    }
  });
}

template <class T>
void channel_sums(const Geometry& g, int images, const T* x, double* sums) {
  const size_t channels = g.channels;
  for_each_piece(g, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    PieceSums about;
    find_centre(piece, x, about.centre);
    sum_piece(piece, about,
              [&]<int W>(size_t at, Floats<W> centre, Floats<W>& sum, Floats<W>& square)
                  LOCKSTEP_INLINE {
                    const Floats<W> d = load<W>(x + at) - centre;
                    sum += d;
                    square += d * d;
                  });
    const double n = static_cast<double>(piece.rows * piece.segments);
    double* of_piece = sums + piece.channel;
    for (size_t c = 0; c < piece.width; ++c) {
      const double centre = about.centre[c], sum = about.first[c];
      of_piece[c] += sum + n * centre;
      of_piece[channels + c] += about.second[c] + 2 * centre * sum + n * centre * centre;
    }
  });
}

template <bool kResidual, bool kRelu, class T>
void apply(const Geometry& g, int images, const T* x, const T* residual, T* y, const float* scale,
           const float* shift) {
  for_each_piece(g, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    for_each_vector<2>(piece, {scale + piece.channel, shift + piece.channel},
                       [&]<int W>(size_t at, const Floats<W>* factors) LOCKSTEP_INLINE {
                         Floats<W> value = load<W>(x + at) * factors[0] + factors[1];
                         if constexpr (kResidual) value += load<W>(residual + at);
                         if constexpr (kRelu) value = rectified<W>(value);
                         store<W>(y + at, value);
                       });
  });
}

template <class T>
void norm_apply(const Geometry& g, int images, const T* x, const T* residual, T* y,
                const float* scale, const float* shift, bool relu) {
  if (residual) {
    relu ? apply<true, true>(g, images, x, residual, y, scale, shift)
         : apply<true, false>(g, images, x, residual, y, scale, shift);
  } else {
    relu ? apply<false, true>(g, images, x, residual, y, scale, shift)
         : apply<false, false>(g, images, x, residual, y, scale, shift);
  }
}

template <bool kAdd, bool kMask, bool kWrite, class T>
void backward_sums(const Geometry& geometry, int images, const T* dy0, const T* dy1, const T* y,
                   const T* x, const float* mean, T* g, double* sums) {
  const size_t channels = geometry.channels;
  for_each_piece(geometry, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    PieceSums about;
    __builtin_memcpy(about.centre, mean + piece.channel, piece.width * sizeof(float));
    sum_piece(piece, about,
              [&]<int W>(size_t at, Floats<W> centre, Floats<W>& sum, Floats<W>& product)
                  LOCKSTEP_INLINE {
                    Floats<W> value = load<W>(dy0 + at);
                    if constexpr (kAdd) value += load<W>(dy1 + at);
                    if constexpr (kMask) value = where_positive<W>(load<W>(y + at), value);
                    const Floats<W> centred = load<W>(x + at) - centre;
                    if constexpr (kWrite) store<W>(g + at, value);
                    sum += value;
                    product += value * centred;
                  });
    double* of_piece = sums + piece.channel;
    for (size_t c = 0; c < piece.width; ++c) {
      of_piece[c] += about.first[c];
      of_piece[channels + c] += about.second[c];
    }
  });
}

template <class T>
void norm_backward_sums(const Geometry& geometry, int images, const T* dy0, const T* dy1,
                        const T* y, const T* x, const float* mean, T* g, double* sums) {
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

template <class T>
void norm_backward_data(const Geometry& geometry, int images, const T* g, const T* x, T* dx,
                        const float* a, const float* b, const float* k) {
  for_each_piece(geometry, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    const size_t c = piece.channel;
    for_each_vector<3>(piece, {a + c, b + c, k + c},
                       [&]<int W>(size_t at, const Floats<W>* factors) LOCKSTEP_INLINE {
                         const Floats<W> rest = factors[1] * load<W>(x + at) + factors[2];
                         store<W>(dx + at, factors[0] * load<W>(g + at) + rest);
                       });
  });
}

/// The factors pass where other sums have a centre.
template <class T>
void factors_backward(const Geometry& geometry, int images, const T* dy, const T* x,
                      const float* factors, T* dx, double* sums) {
  for_each_piece(geometry, images, [&](const Piece& piece) LOCKSTEP_INLINE {
    PieceSums about;
    __builtin_memcpy(about.centre, factors + piece.channel, piece.width * sizeof(float));
    sum_piece(piece, about,
              [&]<int W>(size_t at, Floats<W> factor, Floats<W>&, Floats<W>& product)
                  LOCKSTEP_INLINE {
                    const Floats<W> diff = load<W>(dy + at);
                    product += diff * load<W>(x + at);
                    store<W>(dx + at, diff * factor);
                  });
    for (size_t c = 0; c < piece.width; ++c) sums[piece.channel + c] += about.second[c];
  });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
