#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Shortcut A of He et al. 2015: every `stride`-th pixel, zero channels appended.
/// src [C,H,W] -> dst [out_channels, ceil(H/stride), ceil(W/stride)].
struct ChannelPad {
  int out_channels = 0;
  int stride = 1;

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
