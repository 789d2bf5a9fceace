#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "coordinator/job.h"
#include "jobs/plan_input.h"

namespace lockstep {

/// What a training will take, by its plan.
struct PlannedNeeds {
  std::size_t bytes = 0;  // of the rank that needs the most; what plan prints as its memory
  double step_seconds = 0;
  std::string origin;  // of the time: "from ops measured here"
  std::int64_t steps = 0;
};

/// For the job on `ranks` ranks of `threads` threads each. Starts MPI where it measures
/// (parallel.probe). @throws as make_plan.
PlannedNeeds planned_needs(const Job& job, const PlanInput& in, int ranks, int threads);

}  // namespace lockstep
