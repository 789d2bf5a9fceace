#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

struct TransposedGradients {
  Tensor src, weight;
};

/// Transposed convolution without bias. src [N,C,H,W], weight [C,K,kh,kw] -> dst [N,K,H',W'],
/// H' = (H - 1)*stride - 2*padding + kh: every pixel of src adds its multiple of the kernel.
Tensor conv_transpose2d(const Tensor& src, const Tensor& weight, int stride, int padding);
TransposedGradients conv_transpose2d_backward(const Tensor& src, const Tensor& weight,
                                              const Tensor& diff_dst, int stride, int padding);

/// Bilinear, by a whole factor; the centres of pixels correspond (PyTorch's align_corners = false).
/// src [N,C,H,W] -> dst [N,C,H*factor,W*factor].
Tensor upsample(const Tensor& src, int factor);
Tensor upsample_backward(const std::vector<std::int64_t>& src_dims, const Tensor& diff_dst,
                         int factor);

}  // namespace lockstep::reference
