#include "jobs/planned_needs.h"

#include <algorithm>

#include "coordinator/plan/batches.h"
#include "data/error.h"

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

MachineUse use_of(const Job& job, const PlanRequest& request, const PipelineReport& report) {
  std::vector<std::size_t> bytes;
  for (const StageReport& stage : report.stages) bytes.push_back(total_bytes(stage.memory));
  return machine_use(job, request.ranks, request.machines, bytes);
}

}  // namespace

PlannedJob::PlannedJob(const Job& job, const PlanInput& in, const PlanRequest& request)
    : times_(job, in, request.ranks, request.threads, request.machines.ranks),
      ops_(times_.ops(times_.options().plan.max_images)),
      choice_(choose_stages(job, times_.graph(), times_.options(), ops_)),
      needs_{.report = report_pipeline(times_.graph(), times_.options(), choice_, ops_),
             .use = {},
             .replicas = times_.workers() / job.parallel.stages,
             .threads = times_.options().plan.lanes,
             .images = times_.options().plan.max_images,
             .measured = times_.measured(),
             .origin = times_.origin()} {
  needs_.use = use_of(job, request, needs_.report);
  if (in.train_samples == 0) return;
  needs_.steps = steps_of(job, in);
  needs_.steps_per_epoch = steps_per_epoch(in.train_samples, job.train.batch);
  if (job.train.validate_every == 0) return;
  const auto epochs =
      static_cast<double>(needs_.steps) / static_cast<double>(needs_.steps_per_epoch);
  needs_.validation_seconds =
      epochs / job.train.validate_every *
      seconds_of_validation(ops_, needs_.images, in.val_samples, needs_.replicas);
}

std::string PlannedJob::would_fit(std::size_t share_bytes) const {
  RankOptions options = times_.options();
  options.memory.budget_bytes = share_bytes;
  options.memory.of_machine = options.memory.must_fit = true;
  try {
    report_pipeline(times_.graph(), options, choice_, ops_);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

}  // namespace lockstep
