#include <algorithm>

#include "coordinator/plan/lower_builder.h"
#include "data/error.h"
#include "layers/loss.h"

namespace lockstep {

namespace {

constexpr std::size_t kPackedBytes = 16u << 20;

std::size_t at(int id) { return static_cast<std::size_t>(id); }

}  // namespace

/// Without batch statistics lanes never have to meet, all weights would be packed at once, often more
/// than all that evaluation needs besides, and values would add up.
void LowerBuilder::cut_evaluation(OpId id) {
  if (options_.batch_statistics) return;
  const std::size_t bytes = backend_.packed_bytes(id, false);
  packed_bytes_ += bytes;
  const bool cut = made_.ends_with(value_bytes(graph_.op(id).output) *
                                   static_cast<std::size_t>(options_.max_images));
  if (!cut && packed_bytes_ <= kPackedBytes) return;
  ++least_level_;
  packed_bytes_ = bytes;
}

/// A convolution's weights in the layout that its kernel wants, just before the level that reads
/// them: in a deep net all together are larger than a small batch's activations.
BufferId LowerBuilder::pack(OpId id, bool backward, int level) {
  const Op& op = graph_.op(id);
  const BufferId weights = parameter(op.parameters[0], Segment::kParameters);
  const BufferId packed =
      fixed_buffer(op.name + (backward ? ".packed_backward" : ".packed"),
                   BufferKind::kPackedWeights, backend_.packed_bytes(id, backward));
  add_call(make_call(backward ? CallKind::kPackWeightsBackward : CallKind::kPackWeights, id,
                     {{Role::kWeights, weights}, {Role::kPacked, packed}}),
           Place::kTeam, {weights}, {packed}, level - 1);
  return packed;
}

void LowerBuilder::forward(OpId first, OpId last) {
  for (OpId id = first; id <= last; ++id) {
    const int group = fusion_.group_of[at(id)];
    if (group == kNone) {
      forward_op(id);
      continue;
    }
    const FusedNorm& fused = fusion_.groups[at(group)];
    if (id == fused.norm) norm_statistics(fused);
    if (id == fused.last) forward_norm(fused);
  }
}

void LowerBuilder::norm_statistics(const FusedNorm& group) {
  const Op& op = graph_.op(group.norm);
  const auto channels = at(graph_.value(op.inputs[0]).shape.channels);
  const BufferId src = micro_->values[at(op.inputs[0])];
  const BufferId gamma = parameter(op.parameters[0], Segment::kParameters);
  const BufferId beta = parameter(op.parameters[1], Segment::kParameters);
  const BufferId affine =
      fixed_buffer(op.name + ".affine", BufferKind::kStatistics, 4 * channels * sizeof(float));
  const BufferId statistics = running(op);
  micro_->affine[at(group.norm)] = affine;
  if (!options_.batch_statistics) {
    add_call(make_call(CallKind::kRunningStatistics, group.norm,
                       {{Role::kWeights, gamma},
                        {Role::kBias, beta},
                        {Role::kRunning, statistics},
                        {Role::kAffine, affine}}),
             Place::kTeam, {gamma, beta, statistics}, {affine});
    return;
  }
  const BufferId lane_sums =
      lane_buffer(op.name + ".lane_sums", BufferKind::kStatistics, 2 * channels * sizeof(double));
  const int level = add_call(make_call(CallKind::kStatistics, group.norm,
                                       {{Role::kSrc, src}, {Role::kLaneSums, lane_sums}}),
                             Place::kLane, {src}, {lane_sums});
  const BufferId sums = level_sums(op, level, ".sums");
  add_call(make_call(CallKind::kCombineStatistics, group.norm,
                     {{Role::kLaneSums, lane_sums}, {Role::kSums, sums}}),
           Place::kCombine, {lane_sums}, {sums});
  add_call(make_call(CallKind::kFinishStatistics, group.norm,
                     {{Role::kSums, sums},
                      {Role::kWeights, gamma},
                      {Role::kBias, beta},
                      {Role::kAffine, affine},
                      {Role::kRunning, statistics}}),
           Place::kFinish, {sums, gamma, beta}, {affine});
}

void LowerBuilder::forward_norm(const FusedNorm& group) {
  const Op& op = graph_.op(group.norm);
  const BufferId src = micro_->values[at(op.inputs[0])];
  const BufferId affine = micro_->affine[at(group.norm)];
  const BufferId dst = image_buffer(graph_.value(group.output).name, BufferKind::kActivation,
                                    value_bytes(group.output));
  Call call = make_call(CallKind::kForward, group.norm,
                        {{Role::kSrc, src}, {Role::kAffine, affine}, {Role::kDst, dst}});
  call.relu = group.relu != kNone;
  std::vector<BufferId> reads{src, affine};
  if (group.residual != kNone) {
    const BufferId residual = micro_->values[at(group.residual)];
    call.operands.push_back({Role::kResidual, residual});
    reads.push_back(residual);
  }
  add_call(std::move(call), Place::kLane, reads, {dst});
  micro_->values[at(group.output)] = dst;
}

void LowerBuilder::forward_loss(OpId id) {
  const Op& op = graph_.op(id);
  const BufferId logits = micro_->values[at(op.inputs[0])];
  const std::size_t bytes = at(loss_sum_count(graph_, op)) * sizeof(double);
  const BufferId lane_sums = lane_buffer("loss.lane_sums", BufferKind::kStatistics, bytes);
  draft_.buffer(lane_sums).pinned = !options_.staged();
  add_loss_sums();
  draft_.logits.push_back(logits);
  draft_.buffer(logits).pinned = options_.staged() && !options_.training;
  Call call =
      make_call(CallKind::kForward, id, {{Role::kSrc, logits}, {Role::kLaneSums, lane_sums}});
  if (micro_->labels != kNone) call.operands.push_back({Role::kLabels, micro_->labels});
  std::vector<BufferId> writes{lane_sums};
  if (options_.training) {
    const BufferId gradient =
        image_buffer("loss.gradient", BufferKind::kActivationGradient, value_bytes(op.inputs[0]));
    call.operands.push_back({Role::kDiffSrc, gradient});
    writes.push_back(gradient);
    contribute(op.inputs[0], gradient);
  }
  add_call(std::move(call), Place::kLane, {logits}, writes);
  Call combine = make_call(CallKind::kCombineLoss, id,
                           {{Role::kLaneSums, lane_sums}, {Role::kSums, draft_.loss_sums}});
  if (options_.staged())
    add_call(std::move(combine), Place::kCombine, {lane_sums}, {});
  else
    draft_.calls.push_back({std::move(combine), Place::kTail});
}

void LowerBuilder::add_loss_sums() {
  if (draft_.loss_sums != kNone) return;
  const std::size_t bytes = at(loss_sum_count(graph_, graph_.ops().back())) * sizeof(double);
  draft_.loss_sums = fixed_buffer("loss.sums", BufferKind::kStatistics, bytes);
  draft_.buffer(draft_.loss_sums).pinned = true;
}

void LowerBuilder::forward_op(OpId id) {
  const Op& op = graph_.op(id);
  if (is_loss(op.attributes)) return forward_loss(id);
  if (is_identity(op, options_.training)) {
    micro_->values[at(op.output)] = micro_->values[at(op.inputs[0])];
    return;
  }
  const BufferId dst = image_buffer(op.name, BufferKind::kActivation, value_bytes(op.output));
  micro_->values[at(op.output)] = dst;
  if (op.traits().calls == Calls::kForwardEachInput) {
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const BufferId src = micro_->values[at(op.inputs[i])];
      Call part = make_call(CallKind::kForward, id, {{Role::kSrc, src}, {Role::kDst, dst}});
      part.input_index = static_cast<int>(i);
      add_call(std::move(part), Place::kLane, {src}, {dst});
    }
    return;
  }
  const BufferId src = micro_->values[at(op.inputs[0])];
  if (has_packed_weights(op)) cut_evaluation(id);
  Call call = make_call(CallKind::kForward, id, {{Role::kSrc, src}, {Role::kDst, dst}});
  std::vector<BufferId> reads{src}, writes{dst};
  auto read = [&](Role role, BufferId buffer) {
    call.operands.push_back({role, buffer});
    reads.push_back(buffer);
  };
  if (op.inputs.size() > 1) read(Role::kSrc2, micro_->values[at(op.inputs[1])]);
  if (op.inputs.size() > 2) read(Role::kSrc3, micro_->values[at(op.inputs[2])]);
  if (has_packed_weights(op))
    read(Role::kPacked,
         pack(id, false, std::max({replay_level_, least_level_, lane_level(reads)})));
  else if (!op.parameters.empty())
    read(Role::kWeights, parameter(op.parameters[0], Segment::kParameters));
  if (op.parameters.size() > 1)
    read(Role::kBias, parameter(op.parameters[1], Segment::kParameters));
  if (const std::size_t bytes = backward_needs(graph_, op).workspace_bytes) {
    micro_->workspace[at(id)] = image_buffer(op.name + ".workspace", BufferKind::kWorkspace, bytes);
    call.operands.push_back({Role::kWorkspace, micro_->workspace[at(id)]});
    writes.push_back(micro_->workspace[at(id)]);
  }
  add_call(std::move(call), Place::kLane, reads, writes);
}

}  // namespace lockstep
