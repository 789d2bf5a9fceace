#pragma once
#include "coordinator/job.h"
#include "coordinator/job_data.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// What a job's loader does with some number of threads a rank.
struct LoaderSpeed {
  double samples_per_second = 0;  // of all ranks, when nobody uses them
  double wait_seconds = 0;        // of a step, on the slowest rank; 0 where none was asked for
};

/// The job's loader, asked for the batches of training as training asks for them.
class LoaderBench {
 public:
  /// Opens the data. `steps`: batches that are timed.
  /// @throws as open_job_data; ConfigError if the job has a dedicated coordinator.
  LoaderBench(const Job& job, int steps, const Communicator& group);

  /// Collective. With images_per_second, also takes the batches at that pace (of all ranks), asleep
  /// between them: what a step would wait for them if the loader has cores of its own.
  LoaderSpeed run(int threads, double images_per_second);

 private:
  double time_batches(int threads, double pause_seconds, double& waited);

  const Job& job_;
  const Communicator& group_;
  int steps_;
  JobData data_;
};

}  // namespace lockstep
