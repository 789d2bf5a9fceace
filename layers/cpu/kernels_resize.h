#pragma once
// Bilinear enlargement by a whole factor. See kernels_impl.h.
#include "layers/cpu/kernels_windows.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// An output lies between two inputs: (1 - weight) * low + weight * high.
struct Between {
  int low, high;
  float weight;
};

/// Centres of pixels correspond; what lies outside the first and the last centre is as they are.
LOCKSTEP_INLINE inline Between between(int out, int factor, int size) {
  const float centre = (static_cast<float>(out) + 0.5f) / static_cast<float>(factor) - 0.5f;
  const float at = centre > 0 ? centre : 0;
  const int low = static_cast<int>(at);
  return {low, low + 1 < size ? low + 1 : size - 1, at - static_cast<float>(low)};
}

/// How much of input `in` is in an output.
LOCKSTEP_INLINE inline float part_of(const Between& b, int in) {
  return (b.low == in ? 1 - b.weight : 0) + (b.high == in ? b.weight : 0);
}

/// stride is the factor.
template <class T>
void upsample(const PoolGeometry& g, int images, const T* x, T* y) {
  const size_t width = width_of(g);
  for_each_plane(g, images, [&](size_t in, size_t out) LOCKSTEP_INLINE {
    for (int oh = 0; oh < g.out_height; ++oh) {
      const Between rows = between(oh, g.stride, g.height);
      const T* low = x + in + static_cast<size_t>(rows.low) * g.width * width;
      const T* high = x + in + static_cast<size_t>(rows.high) * g.width * width;
      for (int ow = 0; ow < g.out_width; ++ow, out += width) {
        const Between columns = between(ow, g.stride, g.width);
        const size_t left = columns.low * width, right = columns.high * width;
        for_each_strip(width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
          LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
            const size_t a = left + c + v * W, b = right + c + v * W;
            const Floats<W> top =
                load<W>(low + a) * (1 - columns.weight) + load<W>(low + b) * columns.weight;
            const Floats<W> bottom =
                load<W>(high + a) * (1 - columns.weight) + load<W>(high + b) * columns.weight;
            store<W>(y + out + c + v * W, top * (1 - rows.weight) + bottom * rows.weight);
          }
        });
      }
    }
  });
}

/// Gathers: every input pixel asks the outputs about it for its part, in an order that is always
/// the same. Those are less than two inputs away.
template <class T>
void upsample_backward(const PoolGeometry& g, int images, const T* dy, T* dx) {
  const size_t width = width_of(g);
  const auto about = [&](int in, int outputs) LOCKSTEP_INLINE {
    const int begin = (in - 1) * g.stride, end = (in + 2) * g.stride;
    return Range{begin > 0 ? begin : 0, end < outputs ? end : outputs};
  };
  for_each_plane(g, images, [&](size_t in, size_t out) LOCKSTEP_INLINE {
    for (int h = 0; h < g.height; ++h) {
      const Range rows = about(h, g.out_height);
      for (int w = 0; w < g.width; ++w, in += width) {
        const Range columns = about(w, g.out_width);
        for_each_strip(width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
          Floats<W> sum[N] = {};
          for (int oh = rows.begin; oh < rows.end; ++oh) {
            const float row = part_of(between(oh, g.stride, g.height), h);
            if (row == 0) continue;
            for (int ow = columns.begin; ow < columns.end; ++ow) {
              const float part = row * part_of(between(ow, g.stride, g.width), w);
              if (part == 0) continue;
              const size_t from = out + (static_cast<size_t>(oh) * g.out_width + ow) * width + c;
              LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) sum[v] +=
                  load<W>(dy + from + v * W) * part;
            }
          }
          LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) store<W>(dx + in + c + v * W, sum[v]);
        });
      }
    }
  });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
