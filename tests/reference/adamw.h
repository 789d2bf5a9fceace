#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

/// torch.optim.AdamW: Loshchilov & Hutter 2019, arXiv:1711.05101.
struct AdamWOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  // decoupled: p -= learning_rate * weight_decay * p
};

/// Update number `t`, from 1, in place. Both averages start as zeros, of the dims of the parameter:
/// p -= lr*weight_decay*p;  m = beta1*m + (1-beta1)*g;  v = beta2*v + (1-beta2)*g*g;
/// p -= lr * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps).
void adamw_update(Tensor& parameter, Tensor& average, Tensor& average_of_squares,
                  const Tensor& gradient, int t, const AdamWOptions& options);

}  // namespace lockstep::reference
