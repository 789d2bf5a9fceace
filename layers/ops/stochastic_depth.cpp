#include "layers/ops/stochastic_depth.h"

namespace lockstep {

OpTraits StochasticDepth::traits() const {
  return {.kind = "stochastic_depth",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{.of = Draw::Of::kImage, .always_on = keep == 1, .keep = keep},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape StochasticDepth::shape(const ShapeSite& site) const {
  site.require(keep > 0 && keep <= 1, "keep must be in (0,1]");
  return site.src();
}

OpTensors StochasticDepth::tensors(const std::string&, const Shape&) const { return {}; }

OpCost StochasticDepth::cost(const CostSite& site) const {
  return site.cost(site.in, site.in, 2 * site.in, 2 * site.in);
}

BackwardNeeds StochasticDepth::backward_needs(const Shape&) const { return {}; }

bool StochasticDepth::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string StochasticDepth::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string StochasticDepth::evaluation_text() const { return ""; }

}  // namespace lockstep
