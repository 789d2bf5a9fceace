#include "layers/ops/batch_norm.h"

namespace lockstep {

OpTraits BatchNorm::traits() const {
  return {.kind = "batch_norm",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kFactors,
          .norm = Norm{.over = Norm::Over::kBatch, .momentum = momentum, .eps = eps},
          .fusing = Fusing::kNorm,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape BatchNorm::shape(const ShapeSite& site) const { return site.src(); }

OpTensors BatchNorm::tensors(const std::string& name, const Shape& src) const {
  return {
      .parameters = norm_parameters(name, src.channels, gamma_init),
      .statistics = {{name + ".mean", src.channels, 0.0f}, {name + ".var", src.channels, 1.0f}}};
}

OpCost BatchNorm::cost(const CostSite& site) const { return site.norm(); }

BackwardNeeds BatchNorm::backward_needs(const Shape&) const { return {.src = true}; }

bool BatchNorm::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string BatchNorm::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string BatchNorm::evaluation_text() const { return attribute_text(eps); }

}  // namespace lockstep
