#pragma once
#include "coordinator/metrics_file.h"
#include "coordinator/run_context.h"
#include "coordinator/run_course.h"

namespace lockstep {

/// Registers the observers of a run that goes on from `course`, one line each, in the order in which they are called.
/// Returns the file of metrics, which knows what was before; null but on rank 0.
MetricsFile* register_observers(const RunContext& run, const RunCourse& course);

}  // namespace lockstep
