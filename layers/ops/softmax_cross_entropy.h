#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Loss over class labels: mean over the global batch of the cross entropy with label smoothing.
/// src: logits [classes,1,1]; no output value.
struct SoftmaxCrossEntropy {
  float label_smoothing = 0.0f;

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
