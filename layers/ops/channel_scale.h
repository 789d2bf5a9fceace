#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Squeeze-excitation's product: dst[c,h,w] = src[c,h,w] * gate[c].  Hu et al. 2018, arXiv:1709.01507.
/// Inputs: src [C,H,W], gate [C,1,1], or [1,1,1] for all channels alike (ImageGate).
struct ChannelScale {
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
