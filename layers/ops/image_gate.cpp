#include "layers/ops/image_gate.h"

namespace lockstep {

OpTraits ImageGate::traits() const {
  return {.kind = "image_gate",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{.of = Draw::Of::kDecision, .always_on = false},
          .stored = Stored::kF32,
          .calls = Calls::kUsual};
}

Shape ImageGate::shape(const ShapeSite& site) const {
  site.require(rate > 0 && rate <= 1, "rate must be in (0,1]");
  site.require(rate_weight >= 0, "rate_weight must be at least 0");
  site.require(site.src() == Shape{1, 1, 1},
               "needs one number an image, got " + to_string(site.src()));
  return site.src();
}

OpTensors ImageGate::tensors(const std::string&, const Shape&) const { return {}; }

OpCost ImageGate::cost(const CostSite& site) const {
  return site.cost(4 * site.in, 16 * site.in, 2 * site.in, 3 * site.in);
}

BackwardNeeds ImageGate::backward_needs(const Shape&) const { return {.src = true}; }

bool ImageGate::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string ImageGate::bf16_obstacle(const StorageSite& site) const {
  if (site.any_reads_images) return site.of_images();
  return site.bf16[0] ? "an image's gate must follow a linear layer" : "";
}

std::string ImageGate::evaluation_text() const { return ""; }

}  // namespace lockstep
