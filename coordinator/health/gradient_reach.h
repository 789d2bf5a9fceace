#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "coordinator/plan/batches.h"
#include "layers/graph.h"

namespace lockstep {

/// What a step of training draws by.
struct StepDraws {
  std::uint64_t seed = 0;
  std::int64_t step = 0;  // from 0, as StepContext::step
  Positions positions;    // of all its images in the epoch's order
};

/// By op: whether the loss's gradient comes to its output in such a step. It ends at gates that are drawn 0, at
/// branches that stochastic depth drops for every image, and at ops that `closed` names: those whose scale is 0,
/// as the norms of last_gamma = 0 at the start. What lies behind has gradients of exactly 0, and is well.
std::vector<bool> reached_by_gradient(const Graph& graph, const StepDraws& draws,
                                      const std::function<bool(const Op&)>& closed);

/// By op: whether all its ways to the loss lead through a product with a gate that is decided for each
/// image (Draw::Of::kDecision). Where all images of a step are skipped its gradients are exactly 0, which only
/// they tell.
std::vector<bool> behind_decisions(const Graph& graph);

}  // namespace lockstep
