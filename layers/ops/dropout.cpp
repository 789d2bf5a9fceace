#include "layers/ops/dropout.h"

namespace lockstep {

OpTraits Dropout::traits() const {
  return {.kind = "dropout",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{.of = Draw::Of::kElement, .always_on = probability == 0},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape Dropout::shape(const ShapeSite& site) const {
  site.require(probability >= 0 && probability < 1, "probability must be in [0,1)");
  return site.src();
}

OpTensors Dropout::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Dropout::cost(const CostSite& site) const {
  // The draws are made again in backward, not stored: no bytes for them.
  return site.cost(2 * site.in, 2 * site.in, 2 * site.in, 2 * site.in);
}

BackwardNeeds Dropout::backward_needs(const Shape&) const { return {}; }

bool Dropout::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Dropout::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Dropout::evaluation_text() const { return ""; }

}  // namespace lockstep
