#include "layers/ops/softmax_cross_entropy.h"

namespace lockstep {

OpTraits SoftmaxCrossEntropy::traits() const {
  return {.kind = "softmax_cross_entropy",
          .inputs = Arity::kOne,
          .labels = Labels::kImages,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape SoftmaxCrossEntropy::shape(const ShapeSite& site) const {
  site.require(site.src().pixels() == 1,
               "needs logits [N,classes,1,1], got " + to_string(site.src()));
  site.require(label_smoothing >= 0 && label_smoothing < 1, "label_smoothing must be in [0,1)");
  return {1, 1, 1};
}

OpTensors SoftmaxCrossEntropy::tensors(const std::string&, const Shape&) const { return {}; }

OpCost SoftmaxCrossEntropy::cost(const CostSite& site) const {
  // Maximum, difference, exponential, sum, logarithm and weighting; backward: (p - target) / N.
  return site.cost(6 * site.in, 2 * site.in, site.in, 2 * site.in);
}

BackwardNeeds SoftmaxCrossEntropy::backward_needs(const Shape&) const { return {}; }

bool SoftmaxCrossEntropy::fits_blocks(const LayoutSite& site) const {
  return site.keeps_channels();
}

std::string SoftmaxCrossEntropy::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string SoftmaxCrossEntropy::evaluation_text() const { return ""; }

}  // namespace lockstep
