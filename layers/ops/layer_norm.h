#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Layer normalization of every pixel over its channels.  Ba et al. 2016, arXiv:1607.06450.
/// Parameters: weight and bias [C].
struct LayerNorm {
  float eps = 1e-5f;

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
