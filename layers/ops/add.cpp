#include "layers/ops/add.h"

namespace lockstep {

OpTraits Add::traits() const {
  return {.kind = "add",
          .inputs = Arity::kTwo,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAdd,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape Add::shape(const ShapeSite& site) const {
  site.require(site.inputs[0] == site.inputs[1], "main path " + to_string(site.inputs[0]) +
                                                     ", shortcut " + to_string(site.inputs[1]));
  return site.src();
}

OpTensors Add::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Add::cost(const CostSite& site) const {
  // Both inputs get the gradient itself: nothing is computed or moved.
  return site.cost(site.out, 0, 3 * site.out, 0);
}

BackwardNeeds Add::backward_needs(const Shape&) const { return {.alias = true}; }

bool Add::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Add::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Add::evaluation_text() const { return ""; }

}  // namespace lockstep
