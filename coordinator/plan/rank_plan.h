#pragma once
#include <memory>

#include "coordinator/plan/rank_options.h"

namespace lockstep {

/// All that one rank of a job does in a step and in evaluation, and what it takes. `lockstep plan` prints it, an Engine
/// executes it.
struct RankPlan {
  std::unique_ptr<const Graph> graph;  // at one place: the backend refers to it
  RankOptions options;                 // as they were asked for
  OwnedTensors owned;                  // of the model's; a stage holds its own
  std::unique_ptr<Backend> backend;    // whose kernels the plans are made for
  Recomputation recomputation;
  Plan train, eval;
  Traffic traffic;  // of a step
};

/// Pure but for making kernels, which takes the time. @throws ConfigError if the rank does not fit and must (options.memory).
RankPlan plan_rank(Graph graph, RankOptions options);

/// The memory of the rank, to the byte. Makes all kernels to ask them for their scratch memory, and keeps none: ask once.
std::vector<MemoryGroup> memory_of(const RankPlan& rank);

/// A plan of forward alone with batch statistics, to estimate running statistics anew.
Plan plan_estimation(const RankPlan& rank);

/// What would make the rank fit into so many bytes of its machine, for people; "": recomputation, which is then found.
std::string what_would_fit(const RankPlan& rank, std::size_t share_bytes);

}  // namespace lockstep
