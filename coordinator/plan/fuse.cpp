#include "coordinator/plan/fuse.h"

namespace lockstep {

namespace {

/// The only consumer of a value, or kNone.
OpId only_consumer(const Graph& graph, ValueId value) {
  const auto& consumers = graph.value(value).consumers;
  return consumers.size() == 1 ? consumers.front() : kNone;
}

}  // namespace

Fusion fuse(const Graph& graph) {
  Fusion fusion;
  fusion.group_of.assign(graph.ops().size(), kNone);
  auto taken = [&](OpId id) { return fusion.group_of[static_cast<std::size_t>(id)] != kNone; };
  for (OpId id = 0; id < static_cast<OpId>(graph.ops().size()); ++id) {
    const Op& norm = graph.op(id);
    if (norm.traits().fusing != Fusing::kNorm) continue;
    FusedNorm group{.norm = id, .output = norm.output, .last = id};
    OpId next = only_consumer(graph, group.output);
    if (next != kNone && graph.op(next).traits().fusing == Fusing::kAdd && !taken(next)) {
      const Op& add = graph.op(next);
      group.add = next;
      group.residual = add.inputs[0] == norm.output ? add.inputs[1] : add.inputs[0];
      group.output = add.output;
      group.last = next;
      next = only_consumer(graph, group.output);
    }
    if (next != kNone && graph.op(next).traits().fusing == Fusing::kRelu) {
      group.relu = next;
      group.output = graph.op(next).output;
      group.last = next;
    }
    const int index = static_cast<int>(fusion.groups.size());
    for (OpId member : {group.norm, group.add, group.relu})
      if (member != kNone) fusion.group_of[static_cast<std::size_t>(member)] = index;
    fusion.groups.push_back(group);
  }
  return fusion;
}

}  // namespace lockstep
