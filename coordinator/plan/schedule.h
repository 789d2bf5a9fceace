#pragma once
#include "coordinator/plan/buckets.h"
#include "coordinator/plan/draft.h"

namespace lockstep {

/// Pass 4: orders a draft into phases and messages. Level by level: the lanes' calls (cut where
/// another chunk size is better; that needs no barrier), then the boundary: fold and pack (team),
/// combine sums, reduce them across ranks in one message, finish them, start the buckets that are
/// ready. Fills Plan::calls, items, buckets; buffers have no addresses yet.
/// `sections`: by position in Plan::calls, which calls run without a barrier in between.
struct Schedule {
  Plan plan;
  std::vector<int> section_of_call;
};
Schedule schedule(const Graph& graph, Draft draft, const PlanOptions& options);

}  // namespace lockstep
