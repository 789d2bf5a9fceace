#pragma once
#include <cstdint>

#include "layers/gpu/device.h"

namespace lockstep::gpu {

/// Softmax cross entropy with label smoothing, f32 logits [images, classes].
struct LossShape {
  int images = 0, classes = 0;
  float smoothing = 0;
};

/// per_image [images][4]: loss, in the top 1, in the top 5, 1. diff_src (may be null) is divided by `divisor`.
void softmax_loss(const Queue& queue, const LossShape& shape, const float* logits,
                  const std::int32_t* labels, double divisor, double* per_image, float* diff_src);

/// kCombineLoss: sums [4], written or added; images in a fixed order.
void combine_loss(const Queue& queue, int images, const double* per_image, bool first,
                  double* sums);

}  // namespace lockstep::gpu
