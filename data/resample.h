#pragma once
#include "data/dataset.h"

namespace lockstep {

/// Pixels [top, top + height) x [left, left + width).
struct Rect {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
};

/// Scales the part `crop` of `src` to `height` x `width` and writes the `window` of the result to
/// `dst`. Bilinear; a triangle as wide as the scale when shrinking, so that nothing aliases (as PIL
/// does). `crop` lies in `src`, `window` in [0, height) x [0, width).
void resample(const Image& src, const Rect& crop, int height, int width, const Rect& window,
              Image& dst);

}  // namespace lockstep
