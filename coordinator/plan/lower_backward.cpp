#include <array>

#include "coordinator/plan/lower_passes.h"

namespace lockstep {

namespace {

/// The lanes' own copies of the gradients of an op's parameters.
struct LaneGradients {
  BufferId weights = kNone;
  BufferId bias = kNone;  // if it has one
};

LaneGradients lane_gradients(Lowering& lowering, const Op& op, std::size_t weights_bytes) {
  DraftWriter& writer = lowering.writer;
  LaneGradients lanes;
  lanes.weights =
      writer.lane_buffer(op.name + ".lane_gradient", BufferKind::kLaneGradient, weights_bytes);
  if (op.parameters.size() > 1)
    lanes.bias = writer.lane_buffer(
        op.name + ".lane_bias_gradient", BufferKind::kLaneGradient,
        static_cast<std::size_t>(lowering.graph.parameter(op.parameters[1]).elements()) *
            sizeof(float));
  return lanes;
}

/// Adds the lanes' copies into the gradient segment; when is decided with the buckets.
void fold(Lowering& lowering, OpId id, const LaneGradients& lanes) {
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  NewCall call =
      writer.call(CallKind::kFoldGradient, id)
          .read(Role::kLaneGradient, lanes.weights)
          .write(Role::kGradient, writer.parameter(op.parameters[0], Segment::kGradients));
  if (lanes.bias != kNone)
    call.read(Role::kLaneBiasGradient, lanes.bias)
        .write(Role::kBiasGradient, writer.parameter(op.parameters[1], Segment::kGradients));
  const int level = writer.add(std::move(call), Place::kTeam);
  for (ParameterId p : op.parameters) writer.draft().parameter_level[at(p)] = level;
}

/// `src`: kNone if the gradient needs it not.
void backward_weights(Lowering& lowering, OpId id, BufferId diff_dst, BufferId src) {
  const LaneGradients lanes =
      lane_gradients(lowering, lowering.graph.op(id), lowering.backend.lane_gradient_bytes(id));
  lowering.writer.add(lowering.writer.call(CallKind::kBackwardWeights, id)
                          .read(Role::kDiffDst, diff_dst)
                          .write(Role::kLaneGradient, lanes.weights)
                          .read(Role::kSrc, src)
                          .write(Role::kLaneBiasGradient, lanes.bias),
                      Place::kLane);
  fold(lowering, id, lanes);
}

/// A convolution or a linear layer.
void backward_matrix(Lowering& lowering, OpId id, BufferId diff_dst) {
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  const BufferId src = value_for_backward(lowering, op.inputs[0], writer.lane_level(diff_dst));
  if (lowering.part.kind == PartKind::kBackwardData)
    lowering.micro_batch().deferred.push_back({id, diff_dst, src, lowering.part.chunk});
  else
    backward_weights(lowering, id, diff_dst, src);
  if (!lowering.wants_gradient(op.inputs[0])) return;
  const BufferId diff_src = diff_src_buffer(lowering, op, 0);
  const bool is_packed = has_packed_weights(op);
  const BufferId weights = is_packed ? pack_weights(lowering, id, true, writer.lane_level(diff_dst))
                                     : writer.parameter(op.parameters[0], Segment::kParameters);
  writer.add(writer.call(CallKind::kBackwardData, id)
                 .read(Role::kDiffDst, diff_dst)
                 .write(Role::kDiffSrc, diff_src)
                 .read(is_packed ? Role::kPacked : Role::kWeights, weights),
             Place::kLane);
  contribute(lowering, op.inputs[0], diff_src);
}

/// A norm of single images, or factors: the lanes sum the parameters' gradients while they make the
/// data's.
void backward_factors(Lowering& lowering, OpId id, BufferId diff_dst) {
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  const int when = writer.lane_level(diff_dst);
  const BufferId src = value_for_backward(lowering, op.inputs[0], when);
  const BufferId diff_src = diff_src_buffer(lowering, op, 0);
  const BufferId weights = writer.parameter(op.parameters[0], Segment::kParameters);
  NewCall call = writer.call(CallKind::kBackwardData, id)
                     .read(Role::kDiffDst, diff_dst)
                     .write(Role::kDiffSrc, diff_src)
                     .read(Role::kSrc, src)
                     .read(Role::kWeights, weights);
  if (backward_needs(lowering.graph, op).workspace_bytes)
    call.read(Role::kWorkspace, workspace_for_backward(lowering, id, when));
  const std::int64_t factors = lowering.graph.parameter(op.parameters[0]).elements();
  const LaneGradients lanes =
      lane_gradients(lowering, op, static_cast<std::size_t>(factors) * sizeof(float));
  call.write(Role::kLaneGradient, lanes.weights).write(Role::kLaneBiasGradient, lanes.bias);
  writer.add(std::move(call), Place::kLane);
  contribute(lowering, op.inputs[0], diff_src);
  fold(lowering, id, lanes);
}

/// The gradient of one input of an op without parameters.
void backward_input(Lowering& lowering, OpId id, std::size_t index, BufferId diff_dst) {
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  if (!lowering.wants_gradient(op.inputs[index])) return;
  const BackwardNeeds needs = backward_needs(lowering.graph, op);
  const BufferId diff_src = diff_src_buffer(lowering, op, index);
  NewCall call = writer.call(CallKind::kBackwardData, id)
                     .read(Role::kDiffDst, diff_dst)
                     .write(Role::kDiffSrc, diff_src);
  call.call.input_index = static_cast<int>(index);
  const int when = writer.lane_level(diff_dst);
  const auto read = [&](Role role, ValueId value) {
    call.read(role, value_for_backward(lowering, value, when));
  };
  if (needs.src) read(Role::kSrc, op.inputs[0]);
  if (needs.src && op.inputs.size() > 1) read(Role::kSrc2, op.inputs[1]);
  if (needs.dst) read(Role::kDst, op.output);
  if (needs.workspace_bytes)
    call.read(Role::kWorkspace, workspace_for_backward(lowering, id, when));
  writer.add(std::move(call), Place::kLane);
  contribute(lowering, op.inputs[index], diff_src);
}

/// The gradients of all inputs, at most three, in one pass.
void backward_at_once(Lowering& lowering, OpId id, BufferId diff_dst) {
  constexpr std::array kInputs{Role::kSrc, Role::kSrc2, Role::kSrc3};
  constexpr std::array kGradients{Role::kDiffSrc, Role::kDiffSrc2, Role::kDiffSrc3};
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  const int when = writer.lane_level(diff_dst);
  NewCall call = writer.call(CallKind::kBackwardData, id).read(Role::kDiffDst, diff_dst);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    call.read(kInputs[i], value_for_backward(lowering, op.inputs[i], when));
    call.write(kGradients[i], diff_src_buffer(lowering, op, i));
  }
  const std::vector<BufferId> gradients = call.writes;
  writer.add(std::move(call), Place::kLane);
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    contribute(lowering, op.inputs[i], gradients[i]);
}

void backward_op(Lowering& lowering, OpId id) {
  const Op& op = lowering.graph.op(id);
  if (is_loss(op.attributes)) return;
  // Identities (dropout that is off) share their input's buffer: hand every part through.
  if (is_identity(op, lowering.options.training)) {
    for (const Contribution& c : lowering.micro_batch().contributions[at(op.output)])
      contribute(lowering, op.inputs[0], c);
    return;
  }
  const std::vector<BufferId> parts = gradient_of(lowering, op.output, id, 1);
  if (parts.empty()) return;  // nothing reads the output
  const BufferId diff_dst = parts.front();
  const OpTraits traits = op.traits();
  if (backward_needs(lowering.graph, op).alias) {
    if (!op.parameters.empty()) backward_weights(lowering, id, diff_dst, kNone);
    for (ValueId v : op.inputs) contribute(lowering, v, diff_dst);
  } else if (is_matrix(traits.weights)) {
    backward_matrix(lowering, id, diff_dst);
  } else if (traits.weights == Weights::kFactors) {
    backward_factors(lowering, id, diff_dst);
  } else if (traits.calls == Calls::kBackwardAtOnce) {
    backward_at_once(lowering, id, diff_dst);
  } else {
    for (std::size_t i = 0; i < op.inputs.size(); ++i) backward_input(lowering, id, i, diff_dst);
  }
}

void backward_ops(Lowering& lowering, OpRange ops) {
  for (OpId id = ops.last; id >= ops.first; --id) {
    const FusedNorm* group = lowering.group_of(id);
    if (!group)
      backward_op(lowering, id);
    else if (id == group->last)
      lower_backward_norm(lowering, *group);
  }
}

}  // namespace

BufferId diff_src_buffer(Lowering& lowering, const Op& op, std::size_t index) {
  return lowering.writer.activation_gradient(
      op.name + ".diff_src" + (index ? std::to_string(index) : ""), op.inputs[index]);
}

void lower_backward(Lowering& lowering, OpRange ops, std::size_t done) {
  const std::vector<RecomputeStep>& steps = lowering.options.recompute.steps;
  if (steps.empty()) return backward_ops(lowering, ops);
  for (std::size_t i = done; i < steps.size(); ++i) {
    const OpRange here = ops_of_step(lowering, steps[i], ops);
    if (here.first > here.last) continue;
    if (steps[i].kind == RecomputeStep::Kind::kReplay)
      lower_replay(lowering, steps[i], here);
    else
      backward_ops(lowering, here);
  }
}

void lower_deferred_weights(Lowering& lowering) {
  const int chunk = lowering.part.chunk;
  auto& deferred = lowering.micro_batch().deferred;
  for (const DeferredWeights& d : deferred)
    if (d.chunk == chunk) backward_weights(lowering, d.op, d.diff_dst, d.src);
  std::erase_if(deferred, [&](const DeferredWeights& d) { return d.chunk == chunk; });
}

}  // namespace lockstep
