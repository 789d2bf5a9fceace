#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "coordinator/job.h"
#include "coordinator/stages/pipeline_report.h"
#include "jobs/plan_input.h"
#include "jobs/plan_machines.h"
#include "jobs/plan_times.h"

namespace lockstep {

/// Who is to run a job.
struct PlanRequest {
  int ranks = 1, threads = 0;       // threads 0: planned_threads()
  std::size_t memory_per_rank = 0;  // bytes; 0: as the job's budget, else a share of the machine
  PlanMachines machines;
};

/// What a training will take, by its plan.
struct PlannedNeeds {
  PipelineReport report;  // of a replica's stages; one stage is all of the model
  MachineUse use;         // of the fullest machine
  int replicas = 1, threads = 1;
  int images = 1;                               // of a rank's micro-batch, at most
  bool measured = false;                        // its ops' times, here
  std::string origin;                           // of the report's times: "from ops measured here"
  MachineModel machine = {};                    // assumed
  std::int64_t steps = 0, steps_per_epoch = 0;  // 0: the samples are not known
  double validation_seconds = 0;                // of all validations

  /// Of the whole training, messages between nodes, checkpoints and waiting for data aside.
  double hours() const {
    return (static_cast<double>(steps) * report.seconds + validation_seconds) / 3600;
  }
};

/// A job as it would be run. Starts MPI where it measures (parallel.probe). @throws as make_plan.
class PlannedJob {
 public:
  PlannedJob(const Job& job, const PlanInput& in, const PlanRequest& request);

  const PlannedNeeds& needs() const { return needs_; }
  const Graph& graph() const { return times_.graph(); }
  /// Of a rank of the first stage.
  const RankOptions& options() const { return times_.options(); }

  /// What would make a rank fit into so many bytes, for people; "": fit_memory does by itself.
  std::string would_fit(std::size_t share_bytes) const;

 private:
  PlanTimes times_;
  OpTimes ops_;
  PipelineChoice choice_;
  PlannedNeeds needs_;
};

}  // namespace lockstep
