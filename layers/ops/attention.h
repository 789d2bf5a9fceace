#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Multi-head self-attention over the pixels.  Vaswani et al. 2017, arXiv:1706.03762.
/// src [3C,H,W]: queries, keys and values -> dst [C,H,W]. A head has C/heads neighbouring channels
/// of each: softmax(q k^T / sqrt(C/heads)) v.
struct Attention {
  int heads = 1;

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
