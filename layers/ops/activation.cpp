#include "layers/ops/activation.h"

namespace lockstep {

OpTraits Activation::traits() const {
  return {.kind = row().word,
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = kind == ActivationKind::kRelu ? Fusing::kRelu : Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape Activation::shape(const ShapeSite& site) const { return site.src(); }

OpTensors Activation::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Activation::cost(const CostSite& site) const {
  return site.cost(row().forward_flops * site.in, row().backward_flops * site.in, 2 * site.in,
                   3 * site.in);
}

BackwardNeeds Activation::backward_needs(const Shape&) const {
  switch (row().reads) {
    case ActivationReads::kOutput:
      return {.dst = true};
    case ActivationReads::kInput:
      return {.src = true};
    case ActivationReads::kOutputIfMonotonic:
      return {.src = alpha < 0, .dst = alpha >= 0};
  }
  return {};
}

bool Activation::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Activation::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string Activation::evaluation_text() const {
  return attribute_text({static_cast<int>(kind)}) + attribute_text(alpha);
}

}  // namespace lockstep
