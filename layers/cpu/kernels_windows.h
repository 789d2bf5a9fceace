#pragma once
// The walk of pooling, over outputs or over inputs. Both layouts are planes of [H,W,width] with the
// channels innermost. See kernels_impl.h.
#include "layers/cpu/kernels_bf16.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

struct Range {
  int begin, end;
  LOCKSTEP_INLINE inline int size() const { return end - begin; }
};

/// The part of window `out` inside the image, as taps 0..kernel-1.
LOCKSTEP_INLINE inline Range taps_of(const PoolGeometry& g, int out, int size) {
  const int start = out * g.stride - g.padding;
  return {start < 0 ? -start : 0, start + g.kernel > size ? size - start : g.kernel};
}

/// The windows that cover one position after another, of `outputs`: step(in) for in = 0, 1, ...
struct Windows : Range {
  LOCKSTEP_INLINE inline void step(const PoolGeometry& g, int in, int outputs) {
    while (begin * g.stride - g.padding + g.kernel <= in) ++begin;
    while (end < outputs && end * g.stride - g.padding <= in) ++end;
  }
};

LOCKSTEP_INLINE inline size_t width_of(const PoolGeometry& g) {
  return static_cast<size_t>(g.block ? g.block : g.channels);
}

/// Calls f(in, out) with the offsets of every plane in the input and the output.
template <class F>
LOCKSTEP_INLINE inline void for_each_plane(const PoolGeometry& g, int images, const F& f) {
  const size_t width = width_of(g), planes = static_cast<size_t>(images) * g.channels / width;
  const size_t in = static_cast<size_t>(g.height) * g.width * width;
  const size_t out = static_cast<size_t>(g.out_height) * g.out_width * width;
  for (size_t plane = 0; plane < planes; ++plane) f(plane * in, plane * out);
}

/// Calls f(rows, columns, in, at) per output pixel: its window's taps inside the image, the offset
/// of tap (0,0), which may lie outside, and the output's own offset.
template <class F>
LOCKSTEP_INLINE inline void for_each_window(const PoolGeometry& g, int images, const F& f) {
  const size_t width = width_of(g);
  for_each_plane(g, images, [&](size_t in, size_t out) LOCKSTEP_INLINE {
    for (int oh = 0; oh < g.out_height; ++oh) {
      const Range rows = taps_of(g, oh, g.height);
      for (int ow = 0; ow < g.out_width; ++ow, out += width) {
        const long h = static_cast<long>(oh) * g.stride - g.padding;
        const long w = static_cast<long>(ow) * g.stride - g.padding;
        const long tap0 = (h * g.width + w) * static_cast<long>(width);
        f(rows, taps_of(g, ow, g.width), static_cast<long>(in) + tap0, out);
      }
    }
  });
}

/// Calls f(windows of the row, windows of the column, h, w, at, out) per input pixel: `at` is its
/// offset, `out` the offset of the plane's outputs.
template <class F>
LOCKSTEP_INLINE inline void for_each_input(const PoolGeometry& g, int images, const F& f) {
  const size_t width = width_of(g);
  for_each_plane(g, images, [&](size_t in, size_t out) LOCKSTEP_INLINE {
    Windows rows = {};
    for (int h = 0; h < g.height; ++h) {
      rows.step(g, h, g.out_height);
      Windows columns = {};
      for (int w = 0; w < g.width; ++w, in += width) {
        columns.step(g, w, g.out_width);
        f(rows, columns, h, w, in, out);
      }
    }
  });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
