#include "coordinator/health/gradient_reach.h"

#include "layers/branch_draws.h"

namespace lockstep {

namespace {

bool drawn_off(const Op& op, OpId id, const StepDraws& draws) {
  if (const auto* gate = std::get_if<BranchGate>(&op.attributes)) return branch_gate(*gate, id, draws.seed, draws.step) == 0;
  const auto* depth = std::get_if<StochasticDepth>(&op.attributes);
  if (!depth) return false;
  const PhiloxKey key = random_key(draws.seed, RandomUse::kStochasticDepth);
  for (std::int64_t position = draws.positions.begin; position < draws.positions.end; ++position)
    if (keeps_branch(*depth, id, key, draws.step, position)) return false;
  return true;
}

}  // namespace

std::vector<bool> reached_by_gradient(const Graph& graph, const StepDraws& draws,
                                      const std::function<bool(const Op&)>& closed) {
  std::vector<bool> values(graph.values().size(), false), reached(graph.ops().size(), false);
  for (std::size_t i = graph.ops().size(); i-- > 0;) {
    const Op& op = graph.ops()[i];
    reached[i] = is_loss(op.attributes) || values[static_cast<std::size_t>(op.output)];
    if (!reached[i] || drawn_off(op, static_cast<OpId>(i), draws) || closed(op)) continue;
    for (const ValueId input : op.inputs) values[static_cast<std::size_t>(input)] = true;
  }
  return reached;
}

}  // namespace lockstep
