#pragma once
#include <string>

#include "layers/gpu/device.h"

namespace lockstep::gpu {

/// Linear layer by cuBLAS, all f32, row-major: src [N,in], weights [out,in], dst [N,out].
struct LinearShape {
  int images = 0, in = 0, out = 0;
  bool tf32 = false;
};

/// dst = src * weights^T + bias; bias may be null.
void linear_forward(const Queue& queue, const std::string& name, const LinearShape& shape,
                    const float* src, const float* weights, const float* bias, float* dst);
void linear_backward_data(const Queue& queue, const std::string& name, const LinearShape& shape,
                          const float* diff_dst, const float* weights, float* diff_src);
/// Gradients are written or added; that of the bias, if not null, sums images in their order.
void linear_backward_weights(const Queue& queue, const std::string& name, const LinearShape& shape,
                             const float* src, const float* diff_dst, bool first,
                             float* weight_gradient, float* bias_gradient);

}  // namespace lockstep::gpu
