#include "layers/ops/branch_gate.h"

namespace lockstep {

OpTraits BranchGate::traits() const {
  return {.kind = "branch_gate",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{.of = Draw::Of::kStep, .always_on = keep == 1, .keep = keep},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape BranchGate::shape(const ShapeSite& site) const {
  site.require(keep > 0 && keep <= 1, "keep must be in (0,1]");
  return site.src();
}

OpTensors BranchGate::tensors(const std::string&, const Shape&) const { return {}; }

OpCost BranchGate::cost(const CostSite& site) const {
  return site.cost(site.in, site.in, 2 * site.in, 2 * site.in);
}

BackwardNeeds BranchGate::backward_needs(const Shape&) const { return {}; }

bool BranchGate::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string BranchGate::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string BranchGate::evaluation_text() const { return attribute_text(keep); }

}  // namespace lockstep
