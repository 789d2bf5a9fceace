#include "coordinator/plan/switches.h"

#include <algorithm>
#include <iterator>

#include "coordinator/plan/index.h"

namespace lockstep {

namespace {

using Gates = std::vector<OpId>;  // increasing

/// Whether a call of this kind writes the operand, for others to read. What only calls of the same op read (workspaces,
/// packed weights, lanes' gradients) is of no interest: they are off together.
bool writes_for_others(CallKind kind, Role role) {
  switch (role) {
    case Role::kDst:
      return kind == CallKind::kForward;
    case Role::kDiffSrc:
    case Role::kDiffSrc2:
    case Role::kDiffSrc3:
      return true;
    case Role::kMasked:
      return kind == CallKind::kBackwardSums;
    case Role::kSums:
      return kind == CallKind::kCombineStatistics || kind == CallKind::kCombineBackward;
    case Role::kGradient:
    case Role::kBiasGradient:
      return kind == CallKind::kFoldGradient || kind == CallKind::kCombineBackward;
    default:
      return false;
  }
}

class SwitchFinder {
 public:
  SwitchFinder(const Graph& graph, Plan& plan)
      : graph_(graph),
        plan_(plan),
        of_op_(gates_behind(graph)),
        common_(plan.buffers.size()),
        touched_(plan.buffers.size(), false) {}

  void run() {
    if (std::ranges::all_of(of_op_, [](const Gates& gates) { return gates.empty(); })) return;
    for (const Call& call : plan_.calls)
      for (const Operand& o : call.operands) touch(o.buffer, gates_of(call));
    for (const PlanItem& item : plan_.items)
      if (const auto* message = std::get_if<Message>(&item.what);
          message && is_transfer(message->kind))
        touch(message->buffer, {});
    for (const Call& call : plan_.calls) plan_.switches.push_back(switch_of(call));
    for (PlanItem& item : plan_.items)
      if (auto* message = std::get_if<Message>(&item.what);
          message && message->kind == MessageKind::kAllReduceSums)
        message->gates = gates_of(message->buffer);
  }

 private:
  Gates gates_of(const Call& call) const {
    return call.op == kNone ? Gates{} : of_op_[at(call.op)];
  }

  /// Narrows the gates that are common to all who use a buffer.
  void touch(BufferId buffer, const Gates& gates) {
    Gates& common = common_[at(buffer)];
    if (!touched_[at(buffer)]) {
      common = gates;
    } else {
      Gates both;
      std::ranges::set_intersection(common, gates, std::back_inserter(both));
      common = both;
    }
    touched_[at(buffer)] = true;
  }

  Switch switch_of(const Call& call) const {
    Switch s{.gates = gates_of(call), .zeroed = {}};
    if (s.gates.empty()) return s;
    s.on = share_of_steps(graph_, s.gates);
    for (const Operand& o : call.operands) {
      const Buffer& buffer = plan_.buffer(o.buffer);
      // The parameters' gradients and a level's sums are read as a whole, under another buffer's name.
      const bool of_a_whole = buffer.segment == Segment::kGradients || buffer.parent != kNone;
      if (writes_for_others(call.kind, o.role) && (of_a_whole || common_[at(o.buffer)] != s.gates))
        s.zeroed.push_back(o.buffer);
    }
    return s;
  }

  /// Those that every part of a level's sums lies behind.
  Gates gates_of(BufferId whole) {
    Gates gates;
    bool first = true;
    for (std::size_t b = 0; b < plan_.buffers.size(); ++b) {
      if (plan_.buffers[b].parent != whole) continue;
      Gates both;
      if (!first) std::ranges::set_intersection(gates, common_[b], std::back_inserter(both));
      gates = first ? common_[b] : both;
      first = false;
    }
    return gates;
  }

  const Graph& graph_;
  Plan& plan_;
  std::vector<Gates> of_op_, common_;  // by op; by buffer
  std::vector<bool> touched_;
};

}  // namespace

std::vector<std::vector<OpId>> gates_behind(const Graph& graph) {
  std::vector<Gates> behind(graph.ops().size());
  for (OpId gate = 0; gate < static_cast<OpId>(graph.ops().size()); ++gate) {
    if (!graph.op(gate).traits().draw->may_be_off()) continue;
    std::vector<bool> off(at(gate) + 1, false);
    off[at(gate)] = true;
    behind[at(gate)].push_back(gate);
    for (OpId id = gate; id-- > 0;) {
      const std::vector<OpId>& readers = graph.value(graph.op(id).output).consumers;
      off[at(id)] = !readers.empty() &&
                    std::ranges::all_of(readers, [&](OpId r) { return r <= gate && off[at(r)]; });
      if (off[at(id)]) behind[at(id)].push_back(gate);
    }
  }
  return behind;
}

double share_of_steps(const Graph& graph, const std::vector<OpId>& gates) {
  double share = 1;
  for (const OpId id : gates) {
    const Draw draw = graph.op(id).traits().draw;
    if (draw.of == Draw::Of::kStep) share *= static_cast<double>(draw.keep);
  }
  return share;
}

void add_switches(const Graph& graph, Plan& plan) { SwitchFinder(graph, plan).run(); }

}  // namespace lockstep
