#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// A learned gate of each image: src [1,1,1], the log-odds that it is open -> dst [1,1,1], 1 or 0.
/// Training draws it: open where src + noise > 0, the noise logistic (the difference of two Gumbel
/// numbers), by (seed, step, op, sample position) as Dropout's; so it is open with probability
/// p = sigmoid(src). Its gradient is that of s = sigmoid(src + noise), straight through.
/// Evaluation: open where src > 0.  Veit & Belongie 2018, arXiv:1711.11503; Jang et al. 2017,
/// arXiv:1611.01144.
///
/// Backward also adds the gradient of rate_weight * (p - rate)^2, a mean over the global batch as the
/// loss is: what keeps the rate of open gates near `rate`. The paper squares the batch's mean of s
/// instead; this term is an image's own, so that no rank waits for another's. The reported loss is
/// without it.
struct ImageGate {
  float rate = 0.5f;
  float rate_weight = 0.0f;

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
