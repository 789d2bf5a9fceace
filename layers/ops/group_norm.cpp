#include "layers/ops/group_norm.h"

namespace lockstep {

OpTraits GroupNorm::traits() const {
  return {.kind = "group_norm",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kFactors,
          .norm = Norm{.over = Norm::Over::kGroups, .eps = eps},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape GroupNorm::shape(const ShapeSite& site) const {
  site.require(groups >= 1 && site.src().channels % groups == 0,
               "groups = " + std::to_string(groups) + " does not divide " +
                   std::to_string(site.src().channels) + " channels");
  return site.src();
}

OpTensors GroupNorm::tensors(const std::string& name, const Shape& src) const {
  return {.parameters = norm_parameters(name, src.channels, gamma_init)};
}

OpCost GroupNorm::cost(const CostSite& site) const { return site.norm(); }

BackwardNeeds GroupNorm::backward_needs(const Shape&) const {
  return {.src = true, .workspace_bytes = 2 * sizeof(float) * static_cast<std::size_t>(groups)};
}

bool GroupNorm::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string GroupNorm::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string GroupNorm::evaluation_text() const {
  return attribute_text({groups}) + attribute_text(eps);
}

}  // namespace lockstep
