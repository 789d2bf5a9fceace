#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "coordinator/job.h"
#include "coordinator/stages/pipeline_report.h"
#include "jobs/plan_input.h"

namespace lockstep {

/// What a training will take, by its plan.
struct PlannedNeeds {
  PipelineReport report;  // of a replica's stages; one stage is all of the model
  int replicas = 1, threads = 1;
  int images = 1;         // of a rank's micro-batch, at most
  std::size_t bytes = 0;  // of the rank that needs the most; what plan prints as its memory
  double step_seconds = 0;
  std::string origin;  // of the time: "from ops measured here"
  std::int64_t steps = 0, steps_per_epoch = 0;  // 0: the samples are not known
  double validation_seconds = 0;                // of all validations

  /// Of the whole training, messages between nodes, checkpoints and waiting for data aside.
  double hours() const { return (static_cast<double>(steps) * step_seconds + validation_seconds) / 3600; }
};

/// Memory of a rank that no plan holds: the program, MPI and oneDNN's generated code, as measured
/// (56 to 62 MiB in every job: coordinator/plan/README.md) and rounded up.
inline constexpr std::size_t kProgramBytes = std::size_t{64} << 20;

/// For the job on `ranks` ranks of `threads` threads each. Starts MPI where it measures
/// (parallel.probe). @throws as make_plan.
PlannedNeeds planned_needs(const Job& job, const PlanInput& in, int ranks, int threads);

}  // namespace lockstep
