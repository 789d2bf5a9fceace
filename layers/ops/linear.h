#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// src [C,1,1] -> dst [out_features,1,1].  Parameters: weight [out_features, C], bias
/// [out_features].
struct Linear {
  int out_features = 0;
  bool bias = true;
  float bias_init = 0.0f;

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
