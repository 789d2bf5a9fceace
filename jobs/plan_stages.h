#pragma once
#include "coordinator/job.h"
#include "jobs/planned_needs.h"

namespace lockstep {

/// What each stage of the job's pipeline needs, does and sends.
void print_stages(const Job& job, const PlannedNeeds& needs);

/// lockstep plan --auto: grids, schedules, micro-batches and recomputation by predicted time, and what
/// to put into the job.
void print_alternatives(const Job& job, const PlanInput& in, const PlanRequest& request);

}  // namespace lockstep
