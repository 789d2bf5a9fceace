#include "layers/ops/layer_scale.h"

namespace lockstep {

OpTraits LayerScale::traits() const {
  return {.kind = "layer_scale",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kFactors,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape LayerScale::shape(const ShapeSite& site) const { return site.src(); }

OpTensors LayerScale::tensors(const std::string& name, const Shape& src) const {
  return {{vector_parameter(name + ".weight", src.channels, init)}};
}

OpCost LayerScale::cost(const CostSite& site) const {
  // Backward: dx = dy * weight, and the sums of dy * x.
  return site.cost(site.in, 3 * site.in, 2 * site.in, 4 * site.in);
}

BackwardNeeds LayerScale::backward_needs(const Shape&) const { return {.src = true}; }

bool LayerScale::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string LayerScale::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string LayerScale::evaluation_text() const { return ""; }

}  // namespace lockstep
