#include "layers/ops/flatten.h"

namespace lockstep {

OpTraits Flatten::traits() const {
  return {.kind = "flatten",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kF32,
          .calls = Calls::kUsual};
}

Shape Flatten::shape(const ShapeSite& site) const {
  const std::int64_t elements = site.src().elements();
  site.require(elements <= 1 << 24, "a vector of " + std::to_string(elements) +
                                        " elements is too long; use smaller images");
  return {static_cast<int>(elements), 1, 1};
}

OpTensors Flatten::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Flatten::cost(const CostSite& site) const {
  return site.cost(0, 0, 2 * site.in, 2 * site.in);
}

BackwardNeeds Flatten::backward_needs(const Shape&) const { return {}; }

bool Flatten::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Flatten::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Flatten::evaluation_text() const { return ""; }

}  // namespace lockstep
