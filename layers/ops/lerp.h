#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Gated skip: dst = start + weight * (end - start), element by element; three of one shape.
/// Srivastava et al. 2015, arXiv:1505.00387: the gate carries `start` or transforms it.
struct Lerp {
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
