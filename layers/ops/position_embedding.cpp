#include "layers/ops/position_embedding.h"

namespace lockstep {

OpTraits PositionEmbedding::traits() const {
  return {.kind = "position_embedding",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kOffsets,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape PositionEmbedding::shape(const ShapeSite& site) const { return site.src(); }

OpTensors PositionEmbedding::tensors(const std::string& name, const Shape& src) const {
  return {{{.name = name + ".weight",
            .dims = {src.height, src.width, src.channels},
            .init = Init::kNormal,
            .constant = 0.02f}}};
}

OpCost PositionEmbedding::cost(const CostSite& site) const {
  return site.cost(site.in, site.in, 2 * site.in, site.in);
}

BackwardNeeds PositionEmbedding::backward_needs(const Shape&) const { return {.alias = true}; }

bool PositionEmbedding::fits_blocks(const LayoutSite&) const {
  // Wants a pixel's channels side by side.
  return false;
}

std::string PositionEmbedding::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string PositionEmbedding::evaluation_text() const { return ""; }

}  // namespace lockstep
