#include "layers/ops/pixel_cross_entropy.h"

namespace lockstep {

OpTraits PixelCrossEntropy::traits() const {
  return {.kind = "pixel_cross_entropy",
          .inputs = Arity::kOne,
          .labels = Labels::kPixels,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape PixelCrossEntropy::shape(const ShapeSite& site) const {
  site.require(label_smoothing >= 0 && label_smoothing < 1, "label_smoothing must be in [0,1)");
  return {1, 1, 1};
}

OpTensors PixelCrossEntropy::tensors(const std::string&, const Shape&) const { return {}; }

OpCost PixelCrossEntropy::cost(const CostSite& site) const {
  // Maximum, difference, exponential, sum, logarithm and weighting; backward: (p - target) / N.
  return site.cost(6 * site.in, 2 * site.in, site.in, 2 * site.in);
}

BackwardNeeds PixelCrossEntropy::backward_needs(const Shape&) const { return {}; }

bool PixelCrossEntropy::fits_blocks(const LayoutSite&) const {
  // Classes are seldom as many as a block, and the loss reads a pixel's logits together.
  return false;
}

std::string PixelCrossEntropy::bf16_obstacle(const StorageSite&) const {
  return "a loss of pixels reads logits in f32 only";
}

std::string PixelCrossEntropy::evaluation_text() const { return ""; }

}  // namespace lockstep
