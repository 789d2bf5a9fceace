#include "coordinator/plan/lower_passes.h"

namespace lockstep {

namespace {

constexpr std::size_t kPackedBytes = 16u << 20;

/// Without batch statistics lanes never have to meet, all weights would be packed at once, often more
/// than all that evaluation needs besides, and values would add up.
void cut_evaluation(Lowering& lowering, OpId id) {
  if (lowering.options.batch_statistics) return;
  EvaluationCuts& cuts = lowering.cuts;
  const std::size_t bytes = lowering.backend.packed_bytes(id, false);
  cuts.packed_bytes += bytes;
  const std::size_t output_bytes = lowering.writer.value_bytes(lowering.graph.op(id).output);
  const bool cut = cuts.made.ends_with(output_bytes * at(lowering.options.max_images));
  if (!cut && cuts.packed_bytes <= kPackedBytes) return;
  ++lowering.writer.cursor().least;
  cuts.packed_bytes = bytes;
}

/// What a batch norm's statistics go into: y = scale * x + shift.
struct NormBuffers {
  BufferId gamma, beta, affine, running;
};

/// Sums over the batch, which a message adds up across ranks.
void batch_statistics(Lowering& lowering, const FusedNorm& group, const NormBuffers& norm) {
  const Op& op = lowering.graph.op(group.norm);
  DraftWriter& writer = lowering.writer;
  const std::size_t channels = at(lowering.graph.value(op.inputs[0]).shape.channels);
  const BufferId lane_sums = writer.lane_buffer(op.name + ".lane_sums", BufferKind::kStatistics,
                                                2 * channels * sizeof(double));
  const int level = writer.add(writer.call(CallKind::kStatistics, group.norm)
                                   .read(Role::kSrc, lowering.value(op.inputs[0]))
                                   .write(Role::kLaneSums, lane_sums),
                               Place::kLane);
  const BufferId sums = writer.level_sums(op, level, ".sums");
  writer.add(writer.call(CallKind::kCombineStatistics, group.norm)
                 .read(Role::kLaneSums, lane_sums)
                 .write(Role::kSums, sums),
             Place::kCombine);
  writer.add(writer.call(CallKind::kFinishStatistics, group.norm)
                 .read(Role::kSums, sums)
                 .read(Role::kWeights, norm.gamma)
                 .read(Role::kBias, norm.beta)
                 .write(Role::kAffine, norm.affine)
                 .write(Role::kRunning, norm.running),
             Place::kFinish);
}

void lower_norm_statistics(Lowering& lowering, const FusedNorm& group) {
  const Op& op = lowering.graph.op(group.norm);
  DraftWriter& writer = lowering.writer;
  const std::size_t channels = at(lowering.graph.value(op.inputs[0]).shape.channels);
  NormBuffers norm{};
  norm.gamma = writer.parameter(op.parameters[0], Segment::kParameters);
  norm.beta = writer.parameter(op.parameters[1], Segment::kParameters);
  norm.affine = writer.fixed_buffer(op.name + ".affine", BufferKind::kStatistics,
                                    4 * channels * sizeof(float));
  norm.running = writer.running(op);
  lowering.micro_batch().affine[at(group.norm)] = norm.affine;
  if (lowering.options.batch_statistics) return batch_statistics(lowering, group, norm);
  writer.add(writer.call(CallKind::kRunningStatistics, group.norm)
                 .read(Role::kWeights, norm.gamma)
                 .read(Role::kBias, norm.beta)
                 .read(Role::kRunning, norm.running)
                 .write(Role::kAffine, norm.affine),
             Place::kTeam);
}

/// A concatenation or the like: a call for each input, all into one output.
void forward_each_input(Lowering& lowering, OpId id, BufferId dst) {
  const Op& op = lowering.graph.op(id);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    NewCall call = lowering.writer.call(CallKind::kForward, id)
                       .read(Role::kSrc, lowering.value(op.inputs[i]))
                       .write(Role::kDst, dst);
    call.call.input_index = static_cast<int>(i);
    lowering.writer.add(std::move(call), Place::kLane);
  }
}

/// What an op's forward reads besides its inputs.
void read_parameters(Lowering& lowering, OpId id, NewCall& call) {
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  if (has_packed_weights(op))
    call.read(Role::kPacked, pack_weights(lowering, id, false, writer.lane_level(call.reads)));
  else if (!op.parameters.empty())
    call.read(Role::kWeights, writer.parameter(op.parameters[0], Segment::kParameters));
  if (op.parameters.size() > 1)
    call.read(Role::kBias, writer.parameter(op.parameters[1], Segment::kParameters));
}

}  // namespace

BufferId pack_weights(Lowering& lowering, OpId id, bool backward, int level) {
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  const BufferId weights = writer.parameter(op.parameters[0], Segment::kParameters);
  const BufferId packed =
      writer.fixed_buffer(op.name + (backward ? ".packed_backward" : ".packed"),
                          BufferKind::kPackedWeights, lowering.backend.packed_bytes(id, backward));
  const CallKind kind = backward ? CallKind::kPackWeightsBackward : CallKind::kPackWeights;
  writer.add(writer.call(kind, id).read(Role::kWeights, weights).write(Role::kPacked, packed),
             Place::kTeam, level - 1);
  return packed;
}

void lower_forward_norm(Lowering& lowering, const FusedNorm& group) {
  const Op& op = lowering.graph.op(group.norm);
  DraftWriter& writer = lowering.writer;
  const BufferId dst = writer.activation(lowering.graph.value(group.output).name, group.output);
  NewCall call = writer.call(CallKind::kForward, group.norm)
                     .read(Role::kSrc, lowering.value(op.inputs[0]))
                     .read(Role::kAffine, lowering.micro_batch().affine[at(group.norm)])
                     .write(Role::kDst, dst);
  call.call.relu = group.relu != kNone;
  if (group.residual != kNone) call.read(Role::kResidual, lowering.value(group.residual));
  writer.add(std::move(call), Place::kLane);
  lowering.value(group.output) = dst;
}

void lower_forward_op(Lowering& lowering, OpId id) {
  const Op& op = lowering.graph.op(id);
  DraftWriter& writer = lowering.writer;
  if (is_loss(op.attributes)) return lower_loss(lowering, id);
  if (is_identity(op, lowering.options.training)) {
    lowering.value(op.output) = lowering.value(op.inputs[0]);
    return;
  }
  const BufferId dst = writer.activation(op.name, op.output);
  lowering.value(op.output) = dst;
  if (op.traits().calls == Calls::kForwardEachInput) return forward_each_input(lowering, id, dst);
  if (has_packed_weights(op)) cut_evaluation(lowering, id);
  NewCall call = writer.call(CallKind::kForward, id)
                     .read(Role::kSrc, lowering.value(op.inputs[0]))
                     .write(Role::kDst, dst);
  if (op.inputs.size() > 1) call.read(Role::kSrc2, lowering.value(op.inputs[1]));
  if (op.inputs.size() > 2) call.read(Role::kSrc3, lowering.value(op.inputs[2]));
  read_parameters(lowering, id, call);
  if (const std::size_t bytes = backward_needs(lowering.graph, op).workspace_bytes) {
    BufferId& workspace = lowering.micro_batch().workspace[at(id)];
    workspace = writer.image_buffer(op.name + ".workspace", BufferKind::kWorkspace, bytes);
    call.write(Role::kWorkspace, workspace);
  }
  writer.add(std::move(call), Place::kLane);
}

void lower_forward(Lowering& lowering, OpRange ops) {
  for (OpId id = ops.first; id <= ops.last; ++id) {
    const FusedNorm* group = lowering.group_of(id);
    if (!group) {
      lower_forward_op(lowering, id);
      continue;
    }
    if (id == group->norm) lower_norm_statistics(lowering, *group);
    if (id == group->last) lower_forward_norm(lowering, *group);
  }
}

}  // namespace lockstep
