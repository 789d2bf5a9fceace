#include <algorithm>
#include <array>

#include "coordinator/plan/lower_builder.h"
#include "layers/layout.h"

namespace lockstep {

namespace {
std::size_t at(int id) { return static_cast<std::size_t>(id); }
}  // namespace

/// Contributions are summed in the order of one rank's backward: those of later chunks come first.
void LowerBuilder::contribute(ValueId value, BufferId gradient, int chunk) {
  if (!wants_gradient(value)) return;
  auto& all = micro_->contributions[at(value)];
  const auto behind =
      std::ranges::find_if(all, [&](const Contribution& c) { return c.chunk < chunk; });
  all.insert(behind, {gradient, chunk});
}

/// The gradient of a value as at most `most` buffers that together are its sum; earlier ones are
/// summed by kSum, in the order in which the consumers ran.
std::vector<BufferId> LowerBuilder::gradient_of(ValueId value, OpId producer, std::size_t most) {
  std::vector<BufferId> parts;
  for (const Contribution& c : micro_->contributions[at(value)]) parts.push_back(c.gradient);
  return sum(std::move(parts), value, producer, most);
}

std::vector<BufferId> LowerBuilder::sum(std::vector<BufferId> parts, ValueId value, OpId producer,
                                        std::size_t most) {
  while (parts.size() > most) {
    const BufferId sum = image_buffer(graph_.value(value).name + ".gradient_sum",
                                      BufferKind::kActivationGradient, value_bytes(value));
    add_call(
        make_call(CallKind::kSum, producer,
                  {{Role::kDiffDst, parts[0]}, {Role::kDiffDst2, parts[1]}, {Role::kDiffSrc, sum}}),
        Place::kLane, {parts[0], parts[1]}, {sum});
    parts.erase(parts.begin());
    parts.front() = sum;
  }
  return parts;
}

BufferId LowerBuilder::diff_src_buffer(const Op& op, std::size_t index) {
  return image_buffer(op.name + ".diff_src" + (index ? std::to_string(index) : ""),
                      BufferKind::kActivationGradient, value_bytes(op.inputs[index]));
}

/// Replays with which the backward pass begins: they need no gradient. How many steps that was,
/// with those before them that other ops have.
std::size_t LowerBuilder::replay_first(OpId first, OpId last) {
  const Recomputation& how = options_.recompute;
  if (how.steps.empty()) return 0;
  if (chain_.blocks.empty()) chain_ = chain_of(graph_, fusion_);
  forget(how.keep, first, last);
  std::size_t done = 0;
  for (; done < how.steps.size(); ++done) {
    const auto [from, to] = ops_of(how.steps[done], first, last);
    if (from > to) continue;
    if (how.steps[done].kind != RecomputeStep::Kind::kReplay) break;
    replay(how.steps[done], from, to);
  }
  return done;
}

/// Of those from `first` to `last`.
OpRange LowerBuilder::ops_of(const RecomputeStep& step, OpId first, OpId last) const {
  return {std::max(first, chain_.blocks[at(step.first)].first),
          std::min(last, chain_.blocks[at(step.last)].last)};
}

void LowerBuilder::backward(OpId first, OpId last) {
  backward(first, last, replay_first(first, last));
}

void LowerBuilder::backward(OpId first, OpId last, std::size_t done) {
  const std::vector<RecomputeStep>& steps = options_.recompute.steps;
  if (steps.empty()) return backward_ops(first, last);
  for (std::size_t i = done; i < steps.size(); ++i) {
    const RecomputeStep& step = steps[i];
    const auto [from, to] = ops_of(step, first, last);
    if (from > to) continue;
    if (step.kind == RecomputeStep::Kind::kReplay)
      replay(step, from, to);
    else
      backward_ops(from, to);
  }
}

void LowerBuilder::backward_ops(OpId first, OpId last) {
  for (OpId id = last; id >= first; --id) {
    const int group = fusion_.group_of[at(id)];
    if (group == kNone)
      backward_op(id);
    else if (id == fusion_.groups[at(group)].last)
      backward_norm(fusion_.groups[at(group)]);
  }
}

void LowerBuilder::backward_norm(const FusedNorm& group) {
  const Op& op = graph_.op(group.norm);
  const std::vector<BufferId> diff = gradient_of(group.output, group.last, 2);
  if (diff.empty()) return;  // nothing reads the output
  const bool relu = group.relu != kNone;
  const auto channels = at(graph_.value(op.inputs[0]).shape.channels);
  const int when = lane_level(diff);
  const BufferId src = value(op.inputs[0], when), affine = micro_->affine[at(group.norm)];
  const BufferId lane_sums = lane_buffer(op.name + ".lane_backward_sums", BufferKind::kStatistics,
                                         2 * channels * sizeof(double));
  Call sum = make_call(CallKind::kBackwardSums, group.norm,
                       {{Role::kDiffDst, diff[0]},
                        {Role::kSrc, src},
                        {Role::kAffine, affine},
                        {Role::kLaneSums, lane_sums}});
  sum.relu = relu;
  std::vector<BufferId> reads{diff[0], src, affine}, writes{lane_sums};
  auto read = [&](Role role, BufferId buffer) {
    sum.operands.push_back({role, buffer});
    reads.push_back(buffer);
  };
  if (diff.size() == 2) read(Role::kDiffDst2, diff[1]);
  if (relu) read(Role::kDst, value(group.output, when));
  BufferId masked = diff[0];
  if (relu || diff.size() == 2) {
    masked = image_buffer(op.name + ".masked", BufferKind::kActivationGradient,
                          value_bytes(group.output));
    sum.operands.push_back({Role::kMasked, masked});
    writes.push_back(masked);
  }
  const int level = add_call(std::move(sum), Place::kLane, reads, writes);
  if (group.residual != kNone) contribute(group.residual, masked);

  const BufferId gamma = parameter(op.parameters[0], Segment::kParameters);
  const BufferId gamma_gradient = parameter(op.parameters[0], Segment::kGradients);
  const BufferId beta_gradient = parameter(op.parameters[1], Segment::kGradients);
  const BufferId sums = level_sums(op, level, ".backward_sums");
  const BufferId coefficients = fixed_buffer(op.name + ".coefficients", BufferKind::kStatistics,
                                             3 * channels * sizeof(float));
  add_call(make_call(CallKind::kCombineBackward, group.norm,
                     {{Role::kLaneSums, lane_sums},
                      {Role::kSums, sums},
                      {Role::kAffine, affine},
                      {Role::kGradient, gamma_gradient},
                      {Role::kBiasGradient, beta_gradient}}),
           Place::kCombine, {lane_sums, affine}, {sums, gamma_gradient, beta_gradient});
  for (ParameterId p : op.parameters) draft_.parameter_level[at(p)] = level;
  add_call(make_call(CallKind::kFinishBackward, group.norm,
                     {{Role::kSums, sums},
                      {Role::kWeights, gamma},
                      {Role::kAffine, affine},
                      {Role::kCoefficients, coefficients}}),
           Place::kFinish, {sums, gamma, affine}, {coefficients});
  if (!wants_gradient(op.inputs[0])) return;
  const BufferId dx = diff_src_buffer(op, 0);
  add_call(make_call(CallKind::kBackwardData, group.norm,
                     {{Role::kMasked, masked},
                      {Role::kSrc, src},
                      {Role::kCoefficients, coefficients},
                      {Role::kDiffSrc, dx}}),
           Place::kLane, {masked, src, coefficients}, {dx});
  contribute(op.inputs[0], dx);
}

/// Adds the lanes' copies into the gradient segment; when is decided with the buckets.
void LowerBuilder::fold(OpId id, BufferId lane_gradient, BufferId lane_bias) {
  const Op& op = graph_.op(id);
  const BufferId gradient = parameter(op.parameters[0], Segment::kGradients);
  Call call = make_call(CallKind::kFoldGradient, id,
                        {{Role::kLaneGradient, lane_gradient}, {Role::kGradient, gradient}});
  std::vector<BufferId> reads{lane_gradient}, writes{gradient};
  if (lane_bias != kNone) {
    const BufferId bias = parameter(op.parameters[1], Segment::kGradients);
    call.operands.push_back({Role::kLaneBiasGradient, lane_bias});
    call.operands.push_back({Role::kBiasGradient, bias});
    reads.push_back(lane_bias);
    writes.push_back(bias);
  }
  const int level = add_call(std::move(call), Place::kTeam, reads, writes);
  for (ParameterId p : op.parameters) draft_.parameter_level[at(p)] = level;
}

/// `src`: kNone if the gradient needs it not.
void LowerBuilder::backward_weights(OpId id, BufferId diff_dst, BufferId src) {
  const Op& op = graph_.op(id);
  const BufferId lane_gradient = lane_buffer(op.name + ".lane_gradient", BufferKind::kLaneGradient,
                                             backend_.lane_gradient_bytes(id));
  Call call = make_call(CallKind::kBackwardWeights, id,
                        {{Role::kDiffDst, diff_dst}, {Role::kLaneGradient, lane_gradient}});
  std::vector<BufferId> reads{diff_dst}, writes{lane_gradient};
  if (src != kNone) {
    call.operands.push_back({Role::kSrc, src});
    reads.push_back(src);
  }
  BufferId lane_bias = kNone;
  if (op.parameters.size() > 1) {
    const std::int64_t size = graph_.parameter(op.parameters[1]).elements();
    lane_bias = lane_buffer(op.name + ".lane_bias_gradient", BufferKind::kLaneGradient,
                            static_cast<std::size_t>(size) * sizeof(float));
    call.operands.push_back({Role::kLaneBiasGradient, lane_bias});
    writes.push_back(lane_bias);
  }
  add_call(std::move(call), Place::kLane, reads, writes);
  fold(id, lane_gradient, lane_bias);
}

void LowerBuilder::backward_op(OpId id) {
  const Op& op = graph_.op(id);
  if (is_loss(op.attributes)) return;
  // Identities (dropout that is off) share their input's buffer: hand every part through.
  if (is_identity(op, options_.training)) {
    for (const Contribution& c : micro_->contributions[at(op.output)])
      contribute(op.inputs[0], c.gradient, c.chunk);
    return;
  }
  const std::vector<BufferId> parts = gradient_of(op.output, id, 1);
  if (parts.empty()) return;  // nothing reads the output
  const BufferId diff_dst = parts.front();
  const OpTraits traits = op.traits();
  if (backward_needs(graph_, op).alias) {
    if (!op.parameters.empty()) backward_weights(id, diff_dst, kNone);
    for (ValueId v : op.inputs) contribute(v, diff_dst);
  } else if (is_matrix(traits.weights)) {
    backward_matrix(id, diff_dst);
  } else if (traits.weights == Weights::kFactors) {
    backward_with_parameters(id, diff_dst);
  } else if (traits.calls == Calls::kBackwardAtOnce) {
    backward_at_once(id, diff_dst);
  } else {
    for (std::size_t i = 0; i < op.inputs.size(); ++i) backward_input(id, i, diff_dst);
  }
}

/// A convolution or a linear layer.
void LowerBuilder::backward_matrix(OpId id, BufferId diff_dst) {
  const Op& op = graph_.op(id);
  const BufferId src = value(op.inputs[0], lane_level({diff_dst}));
  if (defer_weights_)
    micro_->deferred.push_back({id, diff_dst, src, chunk_});
  else
    backward_weights(id, diff_dst, src);
  if (!wants_gradient(op.inputs[0])) return;
  const BufferId diff_src = diff_src_buffer(op, 0);
  const bool is_packed = has_packed_weights(op);
  const BufferId weights = is_packed ? pack(id, true, lane_level({diff_dst}))
                                     : parameter(op.parameters[0], Segment::kParameters);
  add_call(make_call(CallKind::kBackwardData, id,
                     {{Role::kDiffDst, diff_dst},
                      {Role::kDiffSrc, diff_src},
                      {is_packed ? Role::kPacked : Role::kWeights, weights}}),
           Place::kLane, {diff_dst, weights}, {diff_src});
  contribute(op.inputs[0], diff_src);
}

/// A norm of single images, or factors: the lanes sum the parameters' gradients while they make the
/// data's.
void LowerBuilder::backward_with_parameters(OpId id, BufferId diff_dst) {
  const Op& op = graph_.op(id);
  const int when = lane_level({diff_dst});
  const BufferId src = value(op.inputs[0], when), diff_src = diff_src_buffer(op, 0);
  const BufferId weights = parameter(op.parameters[0], Segment::kParameters);
  Call call = make_call(CallKind::kBackwardData, id,
                        {{Role::kDiffDst, diff_dst},
                         {Role::kDiffSrc, diff_src},
                         {Role::kSrc, src},
                         {Role::kWeights, weights}});
  std::vector<BufferId> reads{diff_dst, src, weights}, writes{diff_src};
  if (backward_needs(graph_, op).workspace_bytes) {
    reads.push_back(workspace(id, when));
    call.operands.push_back({Role::kWorkspace, reads.back()});
  }
  BufferId lane_gradient = kNone, lane_bias = kNone;
  const auto gradient = [&](std::size_t index, const char* suffix, Role role) {
    const auto size = static_cast<std::size_t>(graph_.parameter(op.parameters[index]).elements());
    writes.push_back(
        lane_buffer(op.name + suffix, BufferKind::kLaneGradient, size * sizeof(float)));
    call.operands.push_back({role, writes.back()});
    return writes.back();
  };
  lane_gradient = gradient(0, ".lane_gradient", Role::kLaneGradient);
  if (op.parameters.size() > 1)
    lane_bias = gradient(1, ".lane_bias_gradient", Role::kLaneBiasGradient);
  add_call(std::move(call), Place::kLane, reads, writes);
  contribute(op.inputs[0], diff_src);
  fold(id, lane_gradient, lane_bias);
}

/// The gradient of one input of an op without parameters.
void LowerBuilder::backward_input(OpId id, std::size_t index, BufferId diff_dst) {
  const Op& op = graph_.op(id);
  if (!wants_gradient(op.inputs[index])) return;
  const BackwardNeeds needs = backward_needs(graph_, op);
  const BufferId diff_src = diff_src_buffer(op, index);
  Call call = make_call(CallKind::kBackwardData, id,
                        {{Role::kDiffDst, diff_dst}, {Role::kDiffSrc, diff_src}});
  call.input_index = static_cast<int>(index);
  std::vector<BufferId> reads{diff_dst};
  auto read = [&](Role role, BufferId buffer) {
    call.operands.push_back({role, buffer});
    reads.push_back(buffer);
  };
  const int when = lane_level({diff_dst});
  if (needs.src) read(Role::kSrc, value(op.inputs[0], when));
  if (needs.src && op.inputs.size() > 1) read(Role::kSrc2, value(op.inputs[1], when));
  if (needs.dst) read(Role::kDst, value(op.output, when));
  if (needs.workspace_bytes) read(Role::kWorkspace, workspace(id, when));
  add_call(std::move(call), Place::kLane, reads, {diff_src});
  contribute(op.inputs[index], diff_src);
}

/// The gradients of all inputs, at most three, in one pass.
void LowerBuilder::backward_at_once(OpId id, BufferId diff_dst) {
  constexpr std::array kInputs{Role::kSrc, Role::kSrc2, Role::kSrc3};
  constexpr std::array kGradients{Role::kDiffSrc, Role::kDiffSrc2, Role::kDiffSrc3};
  const Op& op = graph_.op(id);
  const int when = lane_level({diff_dst});
  Call call = make_call(CallKind::kBackwardData, id, {{Role::kDiffDst, diff_dst}});
  std::vector<BufferId> reads{diff_dst}, writes;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    reads.push_back(value(op.inputs[i], when));
    writes.push_back(diff_src_buffer(op, i));
    call.operands.push_back({kInputs[i], reads.back()});
    call.operands.push_back({kGradients[i], writes.back()});
  }
  add_call(std::move(call), Place::kLane, reads, writes);
  for (std::size_t i = 0; i < op.inputs.size(); ++i) contribute(op.inputs[i], writes[i]);
}

void LowerBuilder::update() {
  const std::size_t floats = parameter_offsets_.back();
  auto whole = [&](const std::string& name, Segment segment, std::size_t copies = 1) {
    return add_buffer({.name = name,
                       .kind = BufferKind::kState,
                       .segment = segment,
                       .bytes = copies * floats * sizeof(float)});
  };
  const BufferId gradients = whole("gradients", Segment::kGradients);
  const BufferId slots = whole("optimizer slots", Segment::kSlots, options_.optimizer.slots.size());
  const BufferId parameters = whole("parameters", Segment::kParameters);
  const BufferId partials = fixed_buffer("gradient_norm.partials", BufferKind::kStatistics,
                                         update_blocks(graph_).size() * sizeof(double));
  draft_.gradient_norm = fixed_buffer("gradient_norm", BufferKind::kStatistics, 3 * sizeof(double));
  draft_.buffer(draft_.gradient_norm).pinned = true;
  auto tail = [&](Call call) { draft_.calls.push_back({std::move(call), Place::kTail}); };
  draft_.norm_partials = partials;
  tail({.kind = CallKind::kGradientNorm,
        .operands = {{Role::kGradient, gradients}, {Role::kLaneSums, partials}}});
  tail({.kind = CallKind::kFinishGradientNorm,
        .operands = {{Role::kLaneSums, partials}, {Role::kSums, draft_.gradient_norm}}});
  tail({.kind = CallKind::kUpdate,
        .operands = {{Role::kGradient, gradients},
                     {Role::kSlots, slots},
                     {Role::kWeights, parameters},
                     {Role::kSums, draft_.gradient_norm}}});
}

}  // namespace lockstep
