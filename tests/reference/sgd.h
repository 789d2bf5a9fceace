#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

/// Stochastic gradient descent as torch.optim.SGD (without dampening).
struct SgdOptions {
  double learning_rate = 0.1;
  double momentum = 0;
  double weight_decay = 0;  // added to the gradient: g += weight_decay * parameter
  bool nesterov = false;
};

/// One update, in place:  v = momentum * v + g;  p -= learning_rate * (nesterov ? g + momentum*v :
/// v). `velocity` starts as zeros, of the dims of the parameter.
void sgd_update(Tensor& parameter, Tensor& velocity, const Tensor& gradient,
                const SgdOptions& options);

}  // namespace lockstep::reference
