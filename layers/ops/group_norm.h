#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Group normalization over (C/groups),H,W of one image.  Wu & He 2018, arXiv:1803.08494.
/// groups = 1 is layer normalization over C,H,W (Ba et al. 2016, arXiv:1607.06450).
/// Parameters: weight and bias [C].
struct GroupNorm {
  int groups = 32;
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
