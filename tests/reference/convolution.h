#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

/// Geometry of a 2-D convolution; the kernel's size is that of the weight.
struct ConvolutionOptions {
  int stride = 1;
  int padding = 0;
  int groups = 1;
};

struct ConvolutionGradients {
  Tensor src, weight, bias;
};

/// src [N,C,H,W], weight [K,C/groups,kh,kw], bias [K] or empty -> dst [N,K,H',W'],
/// H' = (H + 2*padding - kh)/stride + 1.
/// @throws std::invalid_argument where the dims do not fit.
Tensor conv2d(const Tensor& src, const Tensor& weight, const Tensor& bias,
              const ConvolutionOptions& options);

/// Gradients of src, weight and bias (always filled, [K]) for diff_dst [N,K,H',W'].
ConvolutionGradients conv2d_backward(const Tensor& src, const Tensor& weight,
                                     const Tensor& diff_dst, const ConvolutionOptions& options);

}  // namespace lockstep::reference
