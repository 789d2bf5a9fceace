#include <algorithm>
#include <utility>

#include "coordinator/plan/lower_builder.h"

namespace lockstep {

namespace {
std::size_t at(int id) { return static_cast<std::size_t>(id); }
}  // namespace

/// The level in which lanes can run a call that reads these.
int LowerBuilder::lane_level(const std::vector<BufferId>& reads) const {
  int level = part_level_;
  for (BufferId b : reads) level = std::max(level, available_[at(b)]);
  return level;
}

/// A value that backward reads; if it was forgotten, its op runs again, in `level` at the earliest:
/// next to what reads it, so that it often need not leave the cache.
BufferId LowerBuilder::value(ValueId id, int level) {
  if (micro_->values[at(id)] == kNone) replay(graph_.value(id).producer, level);
  return micro_->values[at(id)];
}

BufferId LowerBuilder::workspace(OpId id, int level) {
  if (micro_->workspace[at(id)] == kNone) replay(id, level);
  return micro_->workspace[at(id)];
}

/// Adds the calls that make an op's output again, and before them those that make its inputs.
void LowerBuilder::replay(OpId id, int level) {
  const int index = fusion_.group_of[at(id)];
  const FusedNorm* group = index == kNone ? nullptr : &fusion_.groups[at(index)];
  const Op& op = graph_.op(group ? group->norm : id);
  for (ValueId v : op.inputs) value(v, level);
  if (group && group->residual != kNone) value(group->residual, level);
  const int outer = std::exchange(replay_level_, std::max(level, least_replay_));
  if (group)
    forward_norm(*group);
  else
    forward_op(id);
  replay_level_ = outer;
  const ValueId output = group ? group->output : op.output;
  std::size_t made = value_bytes(output) * static_cast<std::size_t>(options_.max_images);
  if (has_packed_weights(op)) made += backend_.packed_bytes(id, false);
  if (replayed_.ends_with(made)) least_replay_ = front_ + 1;
}

/// Makes values again at the level that backward has come to, and forgets what that took besides.
/// Only those that the ops from `first` to `last` made: the others are on another stage, or are
/// still there.
void LowerBuilder::replay(const RecomputeStep& step, OpId first, OpId last) {
  std::vector<bool> there(micro_->values.size());
  for (std::size_t v = 0; v < there.size(); ++v) there[v] = micro_->values[v] != kNone;
  const auto is_here = [&](ValueId v) {
    return graph_.value(v).producer >= first && graph_.value(v).producer <= last;
  };
  const int end = chain_.block_of[at(graph_.value(step.keep.back()).producer)];
  for (int b = step.first; b < end; ++b)  // block by block: a replay's recursion stays short
    for (ValueId v : chain_.blocks[at(b)].outputs)
      if (is_here(v)) value(v, front_);
  for (ValueId v : step.keep) {
    if (!is_here(v)) continue;
    value(v, front_);
    there[at(v)] = true;
  }
  forget(there, first, last);
}

/// Of the values that the ops from `first` to `last` made.
void LowerBuilder::forget(const std::vector<bool>& keep, OpId first, OpId last) {
  for (std::size_t v = 1; v < micro_->values.size(); ++v) {  // 0: the images, which stay
    const OpId producer = graph_.value(static_cast<ValueId>(v)).producer;
    if (keep[v] || micro_->values[v] == kNone || producer < first || producer > last) continue;
    micro_->values[v] = kNone;
    micro_->workspace[at(producer)] = kNone;
  }
}

}  // namespace lockstep
