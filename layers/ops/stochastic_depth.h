#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Drops a whole image's branch with probability 1 - keep in training, scales kept ones by 1/keep.
/// Huang et al. 2016, arXiv:1603.09382. Drawn as Dropout's, per image.
struct StochasticDepth {
  float keep = 1.0f;

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
