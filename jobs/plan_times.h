#pragma once
#include <optional>

#include "coordinator/job.h"
#include "coordinator/probe.h"
#include "coordinator/stages/grid.h"
#include "coordinator/stages/stage_setup.h"
#include "jobs/plan_input.h"

namespace lockstep {

/// A job's graph, the options of one of its ranks, and the times of its ops, measured in this process or
/// estimated, as parallel.probe says. Starts MPI where it measures.
class PlanTimes {
 public:
  /// `ranks_on_machine`: that share its memory.
  PlanTimes(const Job& job, const PlanInput& in, int ranks, int threads, int ranks_on_machine = 1);

  const Graph& graph() const { return graph_; }
  const RankOptions& options() const { return options_; }
  /// Of micro-batches of so many images.
  OpTimes ops(int images) const;
  int workers() const { return workers_; }
  bool measured() const { return measured_.has_value(); }
  std::string origin() const {
    return measured_ ? "from ops measured here" : "estimated from FLOPs and bytes";
  }

 private:
  int workers_;
  Graph graph_;
  RankOptions options_;
  std::optional<CallTimes> measured_;
};

}  // namespace lockstep
