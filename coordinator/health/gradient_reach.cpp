#include "coordinator/health/gradient_reach.h"

#include <algorithm>

#include "layers/branch_draws.h"

namespace lockstep {

std::vector<bool> reached_by_gradient(const Graph& graph, const StepDraws& draws,
                                      const std::function<bool(const Op&)>& closed) {
  std::vector<bool> values(graph.values().size(), false), reached(graph.ops().size(), false);
  for (std::size_t i = graph.ops().size(); i-- > 0;) {
    const Op& op = graph.ops()[i];
    reached[i] = is_loss(op.attributes) || values[static_cast<std::size_t>(op.output)];
    const bool off = switched_off(op, static_cast<OpId>(i), draws.seed, draws.step,
                                  draws.positions.begin, draws.positions.end);
    if (!reached[i] || off || closed(op)) continue;
    for (const ValueId input : op.inputs) values[static_cast<std::size_t>(input)] = true;
  }
  return reached;
}

std::vector<bool> behind_decisions(const Graph& graph) {
  const auto decided = [&](ValueId v) {
    const OpId producer = graph.value(v).producer;
    return producer != kNone && graph.op(producer).traits().draw->of == Draw::Of::kDecision;
  };
  std::vector<bool> behind(graph.ops().size(), false);
  for (std::size_t i = graph.ops().size(); i-- > 0;) {
    const ValueId output = graph.ops()[i].output;
    if (output == kNone || decided(output)) continue;
    const std::vector<OpId>& readers = graph.value(output).consumers;
    behind[i] = !readers.empty() && std::ranges::all_of(readers, [&](OpId reader) {
      return behind[static_cast<std::size_t>(reader)] ||
             std::ranges::any_of(graph.op(reader).inputs, decided);
    });
  }
  return behind;
}

}  // namespace lockstep
