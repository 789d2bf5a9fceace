#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// dst[c,h,w] = weight[c] * src[c,h,w].  Touvron et al. 2021, arXiv:2103.17239.
/// Parameters: weight [C], at first `init`.
struct LayerScale {
  float init = 1e-6f;

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
