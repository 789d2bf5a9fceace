#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// 2-D convolution.  He et al. 2015, arXiv:1512.03385.
/// src [C,H,W] -> dst [K,H',W'],  H' = (H + 2*padding - kernel)/stride + 1.
/// Parameters: weight [K, C/groups, kernel, kernel], and bias [K] if `bias`.
struct Conv2d {
  int out_channels = 0;
  int kernel = 3;
  int stride = 1;
  int padding = 1;
  int groups = 1;  // ResNeXt: 32
  bool bias = false;
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
