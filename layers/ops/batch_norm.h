#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Batch normalization over N,H,W.  Ioffe & Szegedy 2015, arXiv:1502.03167.
/// Parameters: weight (gamma) and bias (beta) [C]; statistics: mean and var [C], running.
/// running = (1 - momentum) * running + momentum * batch, the variance unbiased.
struct BatchNorm {
  float momentum = 0.1f;
  float eps = 1e-5f;
  float gamma_init = 1.0f;

  OpTraits traits() const;
  Shape shape(const ShapeSite& site) const;
  OpTensors tensors(const std::string& name, const Shape& src) const;
  OpCost cost(const CostSite& site) const;
  BackwardNeeds backward_needs(const Shape& dst) const;
  bool fits_blocks(const LayoutSite& site) const;
  std::string bf16_obstacle(const StorageSite& site) const;
  std::string evaluation_text() const;
};

}  // namespace lockstep
