#include "jobs/planned_needs.h"

#include <algorithm>

#include "coordinator/batches.h"
#include "jobs/plan_times.h"

namespace lockstep {
namespace {

std::int64_t steps_of(const Job& job, const PlanInput& in) {
  const std::int64_t steps = steps_of_epochs(job.train.epochs, in.train_samples, job.train.batch);
  return job.train.max_steps > 0 ? std::min(steps, job.train.max_steps) : steps;
}

/// Of a rank's share of the validation samples, forward only.
double seconds_of_validation(const OpTimes& ops, int images, std::int64_t samples, int replicas) {
  double forward = 0;
  for (const PartTimes& op : ops) forward += op.forward;
  return forward / images * static_cast<double>(samples) / replicas;
}

}  // namespace

PlannedNeeds planned_needs(const Job& job, const PlanInput& in, int ranks, int threads) {
  const PlanTimes times(job, in, ranks, threads);
  const int images = times.options().max_images;
  const OpTimes ops = times.ops(images);
  const PipelineChoice choice = choose_stages(job, times.graph(), times.options(), ops);
  PlannedNeeds needs{.report = report_pipeline(times.graph(), times.options(), choice, ops),
                     .replicas = times.workers() / job.parallel.stages,
                     .threads = times.options().lanes,
                     .images = images,
                     .origin = times.origin()};
  needs.bytes = needs.report.most_memory();
  needs.step_seconds = needs.report.seconds;
  if (in.train_samples == 0) return needs;
  needs.steps = steps_of(job, in);
  needs.steps_per_epoch = steps_per_epoch(in.train_samples, job.train.batch);
  if (job.train.validate_every > 0) {
    const auto epochs = static_cast<double>(needs.steps) / static_cast<double>(needs.steps_per_epoch);
    needs.validation_seconds = epochs / job.train.validate_every *
                               seconds_of_validation(ops, images, in.val_samples, needs.replicas);
  }
  return needs;
}

}  // namespace lockstep
