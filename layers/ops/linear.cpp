#include "layers/ops/linear.h"

namespace lockstep {

OpTraits Linear::traits() const {
  return {.kind = "linear",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kPlain,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kF32,
          .calls = Calls::kUsual};
}

Shape Linear::shape(const ShapeSite& site) const {
  site.require(out_features >= 1, "out_features must be at least 1");
  site.require(site.src().pixels() == 1,
               "needs a vector, got " + to_string(site.src()) + "; pool it first");
  return {out_features, 1, 1};
}

OpTensors Linear::tensors(const std::string& name, const Shape& src) const {
  OpTensors own{{weight_parameter(name, {out_features, src.channels}, Init::kLinearUniform)}};
  if (bias) own.parameters.push_back(vector_parameter(name + ".bias", out_features, bias_init));
  return own;
}

OpCost Linear::cost(const CostSite& site) const {
  return site.product(site.in * out_features, bias ? site.out : 0);
}

BackwardNeeds Linear::backward_needs(const Shape&) const { return {.src = true}; }

bool Linear::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Linear::bf16_obstacle(const StorageSite& site) const {
  if (site.any_reads_images) return site.of_images();
  return site.bf16[0] ? "a linear layer must follow a global average" : "";
}

std::string Linear::evaluation_text() const { return attribute_text({out_features, bias}); }

}  // namespace lockstep
