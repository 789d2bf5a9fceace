#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/ops.h"
#include "layers/parameter.h"
#include "layers/shape.h"

namespace lockstep {

using OpId = int;
using ValueId = int;
using ParameterId = int;
constexpr int kNone = -1;

struct Value {
  std::string name;
  Shape shape;
  OpId producer = kNone;  // kNone: the input images
  std::vector<OpId> consumers;
};

struct Op {
  std::string name;  // "group1.block0.conv1"
  OpAttributes attributes;
  std::vector<ValueId> inputs;
  ValueId output = kNone;  // kNone for the loss
  std::vector<ParameterId> parameters;
  int first_statistic = kNone;  // batch norm: mean, then var

  OpTraits traits() const { return traits_of(attributes); }
};

/// A model as a static DAG of ops over values with shapes. Ops are stored in an order in which every
/// input comes before its use. Building throws ShapeError that names the op, the shapes and the way out.
class Graph {
 public:
  explicit Graph(Shape input);

  /// Appends an op and returns its output value (kNone for the loss).
  /// `hint` is what the user can do if the shapes do not fit; it ends the error message.
  ValueId add(const std::string& name, OpAttributes attributes, std::vector<ValueId> inputs,
              const std::string& hint = "");

  ValueId input() const { return 0; }
  const std::vector<Op>& ops() const { return ops_; }
  const std::vector<Value>& values() const { return values_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Statistic>& statistics() const { return statistics_; }
  const Op& op(OpId id) const { return ops_[static_cast<std::size_t>(id)]; }
  const Value& value(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  const Parameter& parameter(ParameterId id) const {
    return parameters_[static_cast<std::size_t>(id)];
  }
  std::int64_t parameter_count() const;

 private:
  void add_tensors(Op& op);

  std::vector<Op> ops_;
  std::vector<Value> values_;
  std::vector<Parameter> parameters_;
  std::vector<Statistic> statistics_;
};

/// Output shape of an op, or ShapeError. `name` and `hint` go into the message.
Shape infer_shape(const std::string& name, const OpAttributes& attributes,
                  const std::vector<Shape>& inputs, const std::string& hint);

/// What one image of an op costs; see OpCost.
OpCost op_cost(const Graph& graph, const Op& op);

/// What the backward of an op that has an output reads.
BackwardNeeds backward_needs(const Graph& graph, const Op& op);

/// Fills `parameters` (one contiguous tensor each, in the graph's order) from the seed.
/// He normal: std = sqrt(2 / fan_out), fan_out = K*kh*kw (He et al. 2015, arXiv:1502.01852);
/// linear: uniform(+-1/sqrt(inputs of an output)). Keyed by (seed, parameter name): the rest of the net does not matter.
void initialize_parameter(const Parameter& parameter, std::uint64_t seed, float* values);

}  // namespace lockstep
