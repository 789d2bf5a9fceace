#include <algorithm>
#include <utility>

#include "coordinator/plan/lower_passes.h"

namespace lockstep {

namespace {

/// Adds the calls that make an op's output again, and before them those that make its inputs.
void replay_op(Lowering& lowering, OpId id, int level) {
  const FusedNorm* group = lowering.group_of(id);
  const Op& op = lowering.graph.op(group ? group->norm : id);
  for (ValueId v : op.inputs) value_for_backward(lowering, v, level);
  if (group && group->residual != kNone) value_for_backward(lowering, group->residual, level);
  Replays& replays = lowering.replays;
  LevelCursor& cursor = lowering.writer.cursor();
  const int outer = std::exchange(cursor.replay, std::max(level, replays.earliest));
  if (group)
    lower_forward_norm(lowering, *group);
  else
    lower_forward_op(lowering, id);
  cursor.replay = outer;
  const ValueId output = group ? group->output : op.output;
  std::size_t made = lowering.writer.value_bytes(output) * at(lowering.options.max_images);
  if (has_packed_weights(op)) made += lowering.backend.packed_bytes(id, false);
  if (replays.made.ends_with(made)) replays.earliest = cursor.front + 1;
}

bool is_made_by(const Lowering& lowering, ValueId value, OpRange ops) {
  const OpId producer = lowering.graph.value(value).producer;
  return producer >= ops.first && producer <= ops.last;
}

/// Of the values that `ops` made, all but those to keep.
void forget(Lowering& lowering, const std::vector<bool>& keep, OpRange ops) {
  MicroBatch& micro = lowering.micro_batch();
  for (ValueId v = 1; at(v) < micro.values.size(); ++v) {  // 0: the images, which stay
    if (keep[at(v)] || micro.values[at(v)] == kNone || !is_made_by(lowering, v, ops)) continue;
    micro.values[at(v)] = kNone;
    micro.workspace[at(lowering.graph.value(v).producer)] = kNone;
  }
}

}  // namespace

BufferId value_for_backward(Lowering& lowering, ValueId id, int level) {
  if (lowering.value(id) == kNone) replay_op(lowering, lowering.graph.value(id).producer, level);
  return lowering.value(id);
}

BufferId workspace_for_backward(Lowering& lowering, OpId id, int level) {
  const BufferId& workspace = lowering.micro_batch().workspace[at(id)];
  if (workspace == kNone) replay_op(lowering, id, level);
  return workspace;
}

OpRange ops_of_step(const Lowering& lowering, const RecomputeStep& step, OpRange ops) {
  const auto& blocks = lowering.replays.chain.blocks;
  return {std::max(ops.first, blocks[at(step.first)].first),
          std::min(ops.last, blocks[at(step.last)].last)};
}

std::size_t lower_first_replays(Lowering& lowering, OpRange ops) {
  const Recomputation& how = lowering.options.recompute;
  if (how.steps.empty()) return 0;
  Chain& chain = lowering.replays.chain;
  if (chain.blocks.empty()) chain = chain_of(lowering.graph, lowering.fusion);
  forget(lowering, how.keep, ops);
  std::size_t done = 0;
  for (; done < how.steps.size(); ++done) {
    const OpRange here = ops_of_step(lowering, how.steps[done], ops);
    if (here.first > here.last) continue;
    if (how.steps[done].kind != RecomputeStep::Kind::kReplay) break;
    lower_replay(lowering, how.steps[done], here);
  }
  return done;
}

void lower_replay(Lowering& lowering, const RecomputeStep& step, OpRange ops) {
  const Chain& chain = lowering.replays.chain;
  const LevelCursor& cursor = lowering.writer.cursor();
  const auto is_here = [&](ValueId v) { return is_made_by(lowering, v, ops); };
  std::vector<bool> there;
  for (BufferId value : lowering.micro_batch().values) there.push_back(value != kNone);
  const int end = chain.block_of[at(lowering.graph.value(step.keep.back()).producer)];
  for (int b = step.first; b < end; ++b)  // block by block: a replay's recursion stays short
    for (ValueId v : chain.blocks[at(b)].outputs)
      if (is_here(v)) value_for_backward(lowering, v, cursor.front);
  for (ValueId v : step.keep) {
    if (!is_here(v)) continue;
    value_for_backward(lowering, v, cursor.front);
    there[at(v)] = true;
  }
  forget(lowering, there, ops);
}

}  // namespace lockstep
