#pragma once
// Rows whose numbers lie side by side: layer normalization of every pixel over its channels, and
// the gradient of a softmax. See kernels_impl.h.
#include "layers/cpu/kernels_elementwise.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// The sum of the lanes of a vector, in a fixed order.
template <int W>
LOCKSTEP_INLINE inline float sum_of(Floats<W> v) {
  float sum = 0;
  LOCKSTEP_UNROLL for (int i = 0; i < W; ++i) sum += v[i];
  return sum;
}

/// The sum over n channels of term.operator()<W>(c).
template <class Term>
LOCKSTEP_INLINE inline float channel_total(size_t n, const Term& term) {
  Floats<kWidth> wide{};
  size_t c = 0;
  for (; c + kWidth <= n; c += kWidth) wide += term.template operator()<kWidth>(c);
  float sum = sum_of<kWidth>(wide);
  for (; c < n; ++c) sum += term.template operator()<1>(c)[0];
  return sum;
}

void softmax_backward(size_t rows, size_t n, const float* p, const float* dy, float* dx) {
  for (; rows > 0; --rows, p += n, dy += n, dx += n) {
    const float sum = channel_total(
        n, [&]<int W>(size_t i) LOCKSTEP_INLINE { return load<W>(p + i) * load<W>(dy + i); });
    over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE {
      store<W>(dx + i, load<W>(p + i) * (load<W>(dy + i) - sum));
    });
  }
}

/// saved: [2][pixels] of each image, mean and 1/std.
template <class T>
void layer_norm(const Geometry& g, int images, const T* x, T* y, const float* gamma,
                const float* beta, float eps, float* saved) {
  const size_t channels = g.channels, pixels = g.pixels;
  const float share = 1.0f / static_cast<float>(channels);
  for (int n = 0; n < images; ++n, saved += 2 * pixels) {
    for (size_t p = 0; p < pixels; ++p, x += channels, y += channels) {
      const float mean = share * channel_total(channels, [&]<int W>(size_t c) LOCKSTEP_INLINE {
                           return load<W>(x + c);
                         });
      const float var = share * channel_total(channels, [&]<int W>(size_t c) LOCKSTEP_INLINE {
                          const Floats<W> d = load<W>(x + c) - mean;
                          return d * d;
                        });
      const float inverse = 1.0f / __builtin_sqrtf(var + eps);
      saved[p] = mean;
      saved[pixels + p] = inverse;
      for_each_strip(channels, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
        LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
          const size_t at = c + v * W;
          const Floats<W> normal = (load<W>(x + at) - mean) * inverse;
          store<W>(y + at, normal * load<W>(gamma + at) + load<W>(beta + at));
        }
      });
    }
  }
}

/// One image. dx = 1/std * (h - mean(h) - xhat * mean(h * xhat)), h = gamma * dy.
template <class T>
void layer_norm_backward(const Geometry& g, const T* dy, const T* x, const float* gamma,
                         const float* saved, T* dx, float* dgamma, float* dbeta) {
  const size_t channels = g.channels, pixels = g.pixels;
  const float share = 1.0f / static_cast<float>(channels);
  for (size_t c = 0; c < channels; ++c) dgamma[c] = dbeta[c] = 0;
  for (size_t p = 0; p < pixels; ++p, x += channels, dy += channels, dx += channels) {
    const float mean = saved[p], inverse = saved[pixels + p];
    const float sum = share * channel_total(channels, [&]<int W>(size_t c) LOCKSTEP_INLINE {
                        return load<W>(dy + c) * load<W>(gamma + c);
                      });
    const float product =
        share * channel_total(channels, [&]<int W>(size_t c) LOCKSTEP_INLINE {
          return load<W>(dy + c) * load<W>(gamma + c) * ((load<W>(x + c) - mean) * inverse);
        });
    for_each_strip(channels, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        const size_t at = c + v * W;
        const Floats<W> diff = load<W>(dy + at);
        const Floats<W> normal = (load<W>(x + at) - mean) * inverse;
        store<W>(dgamma + at, load<W>(dgamma + at) + diff * normal);
        store<W>(dbeta + at, load<W>(dbeta + at) + diff);
        store<W>(dx + at, inverse * (diff * load<W>(gamma + at) - sum - normal * product));
      }
    });
  }
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
