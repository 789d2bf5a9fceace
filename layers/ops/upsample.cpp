#include "layers/ops/upsample.h"

namespace lockstep {

OpTraits Upsample::traits() const {
  return {.kind = "upsample",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape Upsample::shape(const ShapeSite& site) const {
  site.require(factor >= 1 && factor <= 64, "factor must be 1 to 64");
  return {site.src().channels, factor * site.src().height, factor * site.src().width};
}

OpTensors Upsample::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Upsample::cost(const CostSite& site) const {
  // Four products and their sum an output.
  return site.cost(7 * site.out, 8 * site.out, site.in + site.out, site.in + site.out);
}

BackwardNeeds Upsample::backward_needs(const Shape&) const { return {}; }

bool Upsample::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Upsample::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Upsample::evaluation_text() const { return attribute_text({factor}); }

}  // namespace lockstep
