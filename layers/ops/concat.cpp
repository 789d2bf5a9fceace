#include "layers/ops/concat.h"

namespace lockstep {

OpTraits Concat::traits() const {
  return {.kind = "concat",
          .inputs = Arity::kTwoOrMore,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kForwardEachInput};
}

Shape Concat::shape(const ShapeSite& site) const {
  Shape out = site.src();
  for (std::size_t i = 1; i < site.inputs.size(); ++i) {
    site.require(site.inputs[i].height == out.height && site.inputs[i].width == out.width,
                 "cannot join " + to_string(site.inputs[0]) + " and " + to_string(site.inputs[i]));
    out.channels += site.inputs[i].channels;
  }
  return out;
}

OpTensors Concat::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Concat::cost(const CostSite& site) const {
  return site.cost(0, 0, 2 * site.out, 2 * site.out);
}

BackwardNeeds Concat::backward_needs(const Shape&) const { return {}; }

bool Concat::fits_blocks(const LayoutSite& site) const { return site.moves_channels(); }

std::string Concat::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Concat::evaluation_text() const { return ""; }

}  // namespace lockstep
