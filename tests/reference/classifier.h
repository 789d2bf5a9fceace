#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

struct LinearGradients {
  Tensor src, weight, bias;
};

/// src [N,features] (or [N,features,1,1]), weight [classes,features], bias [classes] or empty
/// -> dst [N,classes].
Tensor linear(const Tensor& src, const Tensor& weight, const Tensor& bias);
LinearGradients linear_backward(const Tensor& src, const Tensor& weight, const Tensor& diff_dst);

struct CrossEntropy {
  double loss = 0;  // sum over images / divisor
  Tensor diff_src;  // gradient of the loss, [N,classes]
};

/// Softmax cross entropy of logits [N,classes] with labels [N]; the target is
/// (1 - smoothing) * one-hot + smoothing / classes. `divisor` is the global count of images.
CrossEntropy softmax_cross_entropy(const Tensor& logits, const std::vector<int>& labels,
                                   double smoothing, double divisor);

/// The same for every pixel: logits [N,classes,H,W], labels [N*H*W]; a negative one has no loss.
CrossEntropy pixel_cross_entropy(const Tensor& logits, const std::vector<int>& labels,
                                 double smoothing, double divisor);

}  // namespace lockstep::reference
