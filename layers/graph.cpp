#include "layers/graph.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "data/error.h"

namespace lockstep {

namespace {

std::size_t input_count(Arity arity, std::size_t given) {
  switch (arity) {
    case Arity::kOne:
      return 1;
    case Arity::kTwo:
      return 2;
    case Arity::kThree:
      return 3;
    case Arity::kTwoOrMore:
      return std::max<std::size_t>(2, given);
  }
  return 1;
}

/// The shape of an op's output; 1 for a loss, which has none.
Shape output_shape(const Graph& graph, const Op& op) {
  return op.output == kNone ? Shape{1, 1, 1} : graph.value(op.output).shape;
}

}  // namespace

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
  add_tensors(op);
  for (ValueId v : op.inputs) values_[static_cast<std::size_t>(v)].consumers.push_back(id);
  if (!is_loss(op.attributes)) {
    op.output = static_cast<ValueId>(values_.size());
    values_.push_back({.name = name, .shape = out, .producer = id});
  }
  ops_.push_back(std::move(op));
  return ops_.back().output;
}

void Graph::add_tensors(Op& op) {
  const Shape& src = value(op.inputs[0]).shape;
  OpTensors own = std::visit([&](const auto& o) { return o.tensors(op.name, src); }, op.attributes);
  for (Parameter& parameter : own.parameters) {
    op.parameters.push_back(static_cast<ParameterId>(parameters_.size()));
    parameters_.push_back(std::move(parameter));
  }
  if (own.statistics.empty()) return;
  op.first_statistic = static_cast<int>(statistics_.size());
  std::ranges::move(own.statistics, std::back_inserter(statistics_));
}

std::int64_t Graph::parameter_count() const {
  std::int64_t n = 0;
  for (const Parameter& p : parameters_) n += p.elements();
  return n;
}

Shape infer_shape(const std::string& name, const OpAttributes& attributes,
                  const std::vector<Shape>& inputs, const std::string& hint) {
  const OpTraits traits = traits_of(attributes);
  const ShapeSite site{name, traits.kind, inputs, hint};
  const std::size_t wanted = input_count(traits.inputs, inputs.size());
  site.require(inputs.size() == wanted,
               "takes " + std::to_string(wanted) + " inputs, got " + std::to_string(inputs.size()));
  return std::visit([&](const auto& op) { return op.shape(site); }, attributes);
}

OpCost op_cost(const Graph& graph, const Op& op) {
  const Shape& src = graph.value(op.inputs[0]).shape;
  const CostSite site{.src = src,
                      .in = static_cast<double>(src.elements()),
                      .out = static_cast<double>(output_shape(graph, op).elements()),
                      .reads_images = op.inputs[0] == graph.input()};
  return std::visit([&](const auto& o) { return o.cost(site); }, op.attributes);
}

BackwardNeeds backward_needs(const Graph& graph, const Op& op) {
  const Shape dst = output_shape(graph, op);
  return std::visit([&](const auto& o) { return o.backward_needs(dst); }, op.attributes);
}

}  // namespace lockstep
