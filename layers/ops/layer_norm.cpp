#include "layers/ops/layer_norm.h"

namespace lockstep {

OpTraits LayerNorm::traits() const {
  return {.kind = "layer_norm",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kFactors,
          .norm = Norm{.over = Norm::Over::kPixel, .eps = eps},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape LayerNorm::shape(const ShapeSite& site) const { return site.src(); }

OpTensors LayerNorm::tensors(const std::string& name, const Shape& src) const {
  return {.parameters = norm_parameters(name, src.channels, 1.0f)};
}

OpCost LayerNorm::cost(const CostSite& site) const { return site.norm(); }

BackwardNeeds LayerNorm::backward_needs(const Shape& dst) const {
  return {.src = true,
          .workspace_bytes = 2 * sizeof(float) * static_cast<std::size_t>(dst.pixels())};
}

bool LayerNorm::fits_blocks(const LayoutSite&) const {
  // Wants a pixel's channels side by side.
  return false;
}

std::string LayerNorm::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string LayerNorm::evaluation_text() const { return attribute_text(eps); }

}  // namespace lockstep
