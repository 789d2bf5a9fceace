#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

enum class ActivationKind { kRelu, kLeakyRelu, kElu, kGelu, kSigmoid };

/// Elementwise. `alpha` is the slope below zero of LeakyReLU and the scale of ELU; GELU is exact (erf).
struct Activation {
  ActivationKind kind = ActivationKind::kRelu;
  float alpha = 0.0f;

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
