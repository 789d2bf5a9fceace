#include "layers/ops/lerp.h"

namespace lockstep {

OpTraits Lerp::traits() const {
  return {.kind = "lerp",
          .inputs = Arity::kThree,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kBackwardAtOnce};
}

Shape Lerp::shape(const ShapeSite& site) const {
  site.require(site.inputs[0] == site.inputs[1] && site.inputs[0] == site.inputs[2],
               "carried " + to_string(site.inputs[0]) + ", transformed " +
                   to_string(site.inputs[1]) + ", gate " + to_string(site.inputs[2]));
  return site.src();
}

OpTensors Lerp::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Lerp::cost(const CostSite& site) const {
  // Backward: dy - dy*w, dy*w and dy*(end - start), in one pass.
  return site.cost(3 * site.out, 4 * site.out, 4 * site.out, 7 * site.out);
}

BackwardNeeds Lerp::backward_needs(const Shape&) const { return {.src = true}; }

bool Lerp::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Lerp::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Lerp::evaluation_text() const { return ""; }

}  // namespace lockstep
