#include "coordinator/health/gradient_reach.h"

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

}  // namespace lockstep
