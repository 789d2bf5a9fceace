#include "layers/backward.h"

namespace lockstep {

namespace {

BackwardNeeds activation_needs(const Activation& activation) {
  // GELU is not monotonic: its output does not tell the slope. A LeakyReLU with a negative slope
  // is not invertible either.
  if (activation.kind == ActivationKind::kGelu) return {.src = true};
  if (activation.kind == ActivationKind::kLeakyRelu && activation.alpha < 0) return {.src = true};
  return {.dst = true};
}

}  // namespace

BackwardNeeds backward_needs(const Graph& graph, const Op& op) {
  if (std::holds_alternative<Conv2d>(op.attributes) ||
      std::holds_alternative<ConvTranspose2d>(op.attributes) ||
      std::holds_alternative<Linear>(op.attributes) ||
      std::holds_alternative<BatchNorm>(op.attributes) ||
      std::holds_alternative<ChannelScale>(op.attributes) ||
      std::holds_alternative<LayerScale>(op.attributes) ||
      std::holds_alternative<Lerp>(op.attributes))
    return {.src = true};
  const Shape& dst = graph.value(op.output).shape;
  const auto pixels = static_cast<std::size_t>(dst.pixels());
  if (std::holds_alternative<LayerNorm>(op.attributes))
    return {.src = true, .workspace_bytes = 2 * sizeof(float) * pixels};
  if (const auto* attention = std::get_if<Attention>(&op.attributes))
    return {.src = true,
            .workspace_bytes =
                static_cast<std::size_t>(attention->heads) * pixels * pixels * sizeof(float)};
  if (const auto* group = std::get_if<GroupNorm>(&op.attributes))
    return {.src = true,
            .workspace_bytes = 2 * sizeof(float) * static_cast<std::size_t>(group->groups)};
  if (const auto* activation = std::get_if<Activation>(&op.attributes))
    return activation_needs(*activation);
  if (std::holds_alternative<Add>(op.attributes) ||
      std::holds_alternative<PositionEmbedding>(op.attributes))
    return {.alias = true};
  if (const auto* pool = std::get_if<Pool>(&op.attributes); pool && pool->kind == PoolKind::kMax)
    return {.workspace_bytes = static_cast<std::size_t>(dst.elements())};
  return {};
}

}  // namespace lockstep
