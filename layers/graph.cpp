#include "layers/graph.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "data/error.h"

namespace lockstep {

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

Parameter weight(const std::string& op, std::vector<std::int64_t> dims, Init init) {
  return {.name = op + ".weight", .dims = std::move(dims), .init = init, .decay = true};
}

Parameter vector_parameter(const std::string& name, int size, float constant) {
  return {.name = name, .dims = {size}, .init = Init::kConstant, .constant = constant};
}

}  // namespace

std::string kind_name(const OpAttributes& attributes) {
  return std::visit(
      Overloaded{
          [](const Conv2d&) { return "conv2d"; },
          [](const ConvTranspose2d&) { return "conv_transpose2d"; },
          [](const BatchNorm&) { return "batch_norm"; },
          [](const GroupNorm&) { return "group_norm"; },
          [](const LayerNorm&) { return "layer_norm"; },
          [](const LayerScale&) { return "layer_scale"; },
          [](const PositionEmbedding&) { return "position_embedding"; },
          [](const Attention&) { return "attention"; },
          [](const Activation& a) {
            switch (a.kind) {
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
          },
          [](const Add&) { return "add"; },
          [](const Lerp&) { return "lerp"; },
          [](const Concat&) { return "concat"; },
          [](const ChannelPad&) { return "channel_pad"; },
          [](const Pool& p) { return p.kind == PoolKind::kMax ? "max_pool" : "average_pool"; },
          [](const Upsample&) { return "upsample"; },
          [](const Flatten&) { return "flatten"; },
          [](const GlobalAveragePool&) { return "global_average_pool"; },
          [](const Linear&) { return "linear"; },
          [](const Dropout&) { return "dropout"; },
          [](const StochasticDepth&) { return "stochastic_depth"; },
          [](const BranchGate&) { return "branch_gate"; },
          [](const Scale&) { return "scale"; },
          [](const ChannelScale&) { return "channel_scale"; },
          [](const SoftmaxCrossEntropy&) { return "softmax_cross_entropy"; },
          [](const PixelCrossEntropy&) { return "pixel_cross_entropy"; },
      },
      attributes);
}

std::int64_t Parameter::elements() const {
  std::int64_t n = 1;
  for (std::int64_t d : dims) n *= d;
  return n;
}

Graph::Graph(Shape input) {
  if (input.channels < 1 || input.height < 1 || input.width < 1)
    throw ShapeError("model input: shape " + to_string(input) + " is empty");
  values_.push_back({.name = "input", .shape = input});
}

ValueId Graph::add(const std::string& name, OpAttributes attributes, std::vector<ValueId> inputs,
                   const std::string& hint) {
  std::vector<Shape> shapes;
  for (ValueId v : inputs) shapes.push_back(value(v).shape);
  const Shape out = infer_shape(name, attributes, shapes, hint);

  const OpId id = static_cast<OpId>(ops_.size());
  Op op{.name = name, .attributes = std::move(attributes), .inputs = std::move(inputs)};
  add_parameters(op);
  for (ValueId v : op.inputs) values_[static_cast<std::size_t>(v)].consumers.push_back(id);
  if (!is_loss(op.attributes)) {
    op.output = static_cast<ValueId>(values_.size());
    values_.push_back({.name = name, .shape = out, .producer = id});
  }
  ops_.push_back(std::move(op));
  return ops_.back().output;
}

ParameterId Graph::add_parameter(Parameter parameter) {
  parameters_.push_back(std::move(parameter));
  return static_cast<ParameterId>(parameters_.size()) - 1;
}

void Graph::add_parameters(Op& op) {
  const int channels = value(op.inputs[0]).shape.channels;
  auto norm_parameters = [&](float gamma) {
    op.parameters = {add_parameter(vector_parameter(op.name + ".weight", channels, gamma)),
                     add_parameter(vector_parameter(op.name + ".bias", channels, 0.0f))};
  };
  if (const auto* conv = std::get_if<Conv2d>(&op.attributes)) {
    op.parameters = {add_parameter(
        weight(op.name, {conv->out_channels, channels / conv->groups, conv->kernel, conv->kernel},
               // With a bias no norm follows: a classifier, a gate.
               conv->bias ? Init::kLinearUniform : Init::kHeNormal))};
    if (conv->bias)
      op.parameters.push_back(
          add_parameter(vector_parameter(op.name + ".bias", conv->out_channels, conv->bias_init)));
  } else if (const auto* up = std::get_if<ConvTranspose2d>(&op.attributes)) {
    Parameter kernel =
        weight(op.name, {channels, up->out_channels, up->kernel, up->kernel}, Init::kNormal);
    // Keeps the variance: an output sums so many products.
    const double products = std::max(1.0, static_cast<double>(up->kernel) / up->stride);
    kernel.constant = static_cast<float>(1.0 / std::sqrt(channels * products * products));
    op.parameters = {add_parameter(std::move(kernel))};
  } else if (const auto* linear = std::get_if<Linear>(&op.attributes)) {
    op.parameters = {
        add_parameter(weight(op.name, {linear->out_features, channels}, Init::kLinearUniform))};
    if (linear->bias)
      op.parameters.push_back(
          add_parameter(vector_parameter(op.name + ".bias", linear->out_features, 0.0f)));
  } else if (const auto* batch = std::get_if<BatchNorm>(&op.attributes)) {
    norm_parameters(batch->gamma_init);
    op.first_statistic = static_cast<int>(statistics_.size());
    statistics_.push_back({op.name + ".mean", channels, 0.0f});
    statistics_.push_back({op.name + ".var", channels, 1.0f});
  } else if (const auto* group = std::get_if<GroupNorm>(&op.attributes)) {
    norm_parameters(group->gamma_init);
  } else if (std::holds_alternative<LayerNorm>(op.attributes)) {
    norm_parameters(1.0f);
  } else if (const auto* scale = std::get_if<LayerScale>(&op.attributes)) {
    op.parameters = {add_parameter(vector_parameter(op.name + ".weight", channels, scale->init))};
  } else if (std::holds_alternative<PositionEmbedding>(op.attributes)) {
    const Shape& shape = value(op.inputs[0]).shape;
    op.parameters = {add_parameter({.name = op.name + ".weight",
                                    .dims = {shape.height, shape.width, channels},
                                    .init = Init::kNormal,
                                    .constant = 0.02f})};
  }
}

std::int64_t Graph::parameter_count() const {
  std::int64_t n = 0;
  for (const Parameter& p : parameters_) n += p.elements();
  return n;
}

}  // namespace lockstep
