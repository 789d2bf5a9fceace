#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Conditional skip: dst = gate * src, the gate 1 with probability `keep`, else 0: one draw for all
/// images of a step, keyed by (seed, step, op). In evaluation its mean, keep, as in Huang et al. 2016.
struct BranchGate {
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
