#include "layers/ops/scale.h"

namespace lockstep {

OpTraits Scale::traits() const {
  return {.kind = "scale",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape Scale::shape(const ShapeSite& site) const { return site.src(); }

OpTensors Scale::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Scale::cost(const CostSite& site) const {
  return site.cost(site.in, site.in, 2 * site.in, 2 * site.in);
}

BackwardNeeds Scale::backward_needs(const Shape&) const { return {}; }

bool Scale::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Scale::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Scale::evaluation_text() const { return attribute_text(alpha); }

}  // namespace lockstep
