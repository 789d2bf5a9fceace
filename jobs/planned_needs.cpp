#include "jobs/planned_needs.h"

#include <algorithm>

#include "coordinator/batches.h"
#include "coordinator/stages/pipeline_report.h"
#include "jobs/plan_times.h"

namespace lockstep {
namespace {

std::int64_t steps_of(const Job& job, const PlanInput& in) {
  const std::int64_t steps = steps_of_epochs(job.train.epochs, in.train_samples, job.train.batch);
  return job.train.max_steps > 0 ? std::min(steps, job.train.max_steps) : steps;
}

}  // namespace

PlannedNeeds planned_needs(const Job& job, const PlanInput& in, int ranks, int threads) {
  const PlanTimes times(job, in, ranks, threads);
  const OpTimes ops = times.ops(times.options().max_images);
  const PipelineChoice choice = choose_stages(job, times.graph(), times.options(), ops);
  const PipelineReport report = report_pipeline(times.graph(), times.options(), choice, ops);
  return {.bytes = report.most_memory(),
          .step_seconds = report.seconds,
          .origin = times.origin(),
          .steps = steps_of(job, in)};
}

}  // namespace lockstep
