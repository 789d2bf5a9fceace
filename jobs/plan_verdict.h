#pragma once
#include <cstddef>
#include <string>

#include "coordinator/job.h"
#include "jobs/planned_needs.h"

namespace lockstep {

/// Three lines: whether it fits, seconds a step, hours for the job.
std::string verdict_text(const PlannedNeeds& needs);

/// One object of JSON: the needs, whether the machine has them, and what each stage holds and sends; bytes and seconds.
std::string plan_json(const Job& job, const PlanInput& in, const PlannedJob& planned);

}  // namespace lockstep
