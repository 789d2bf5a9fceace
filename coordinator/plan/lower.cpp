#include "coordinator/plan/lower.h"

#include <utility>

#include "coordinator/plan/lower_passes.h"

namespace lockstep {

Draft lower(const Graph& graph, const Fusion& fusion, const Backend& backend,
            const PlanOptions& options) {
  Lowering lowering{.graph = graph,
                    .fusion = fusion,
                    .backend = backend,
                    .options = options,
                    .writer = DraftWriter(graph, options)};
  lowering.add_micro_batches();
  if (options.staged()) {
    lower_stage(lowering);
  } else {
    const OpRange all{0, static_cast<OpId>(graph.ops().size()) - 1};
    lower_forward(lowering, all);
    if (options.training) lower_backward(lowering, all, lower_first_replays(lowering, all));
  }
  if (options.training) lower_update(lowering);
  return std::move(lowering.writer.draft());
}

}  // namespace lockstep
