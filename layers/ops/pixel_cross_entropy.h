#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Loss over a label for every pixel: cross entropy with label smoothing, summed over the pixels that
/// have a label (it is not negative) and divided by all pixels of the global batch, so that how
/// much a pixel weighs does not depend on the others' labels.
/// src: logits [classes,H,W]; no output value.
struct PixelCrossEntropy {
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
