#include "layers/ops/activation.h"

namespace lockstep {

namespace {

const char* word_of(ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kRelu:
      return "relu";
    case ActivationKind::kLeakyRelu:
      return "leaky_relu";
    case ActivationKind::kElu:
      return "elu";
    case ActivationKind::kGelu:
      return "gelu";
    case ActivationKind::kSigmoid:
      return "sigmoid";
  }
  return "activation";
}

}  // namespace

OpTraits Activation::traits() const {
  return {.kind = word_of(kind),
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
  switch (kind) {
    case ActivationKind::kRelu:
      return site.cost(site.in, site.in, 2 * site.in, 3 * site.in);
    case ActivationKind::kLeakyRelu:
      return site.cost(2 * site.in, 2 * site.in, 2 * site.in, 3 * site.in);
    case ActivationKind::kElu:
      return site.cost(4 * site.in, 4 * site.in, 2 * site.in, 3 * site.in);
    case ActivationKind::kGelu:
      return site.cost(5 * site.in, 10 * site.in, 2 * site.in, 3 * site.in);
    case ActivationKind::kSigmoid:
      return site.cost(3 * site.in, 3 * site.in, 2 * site.in, 3 * site.in);
  }
  return {};
}

BackwardNeeds Activation::backward_needs(const Shape&) const {
  // GELU is not monotonic: its output does not tell the slope. A LeakyReLU with a negative slope
  // is not invertible either.
  if (kind == ActivationKind::kGelu) return {.src = true};
  if (kind == ActivationKind::kLeakyRelu && alpha < 0) return {.src = true};
  return {.dst = true};
}

bool Activation::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Activation::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string Activation::evaluation_text() const {
  return attribute_text({static_cast<int>(kind)}) + attribute_text(alpha);
}

}  // namespace lockstep
