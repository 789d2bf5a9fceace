#pragma once
#include <cstdint>

#include "coordinator/job.h"
#include "layers/shape.h"

namespace lockstep {

/// What a plan has to know of a job's data.
struct PlanInput {
  Shape input;  // of the network
  int classes = 0;
  std::int64_t train_samples = 0, val_samples = 0;
  std::size_t dataset_bytes = 0;  // of samples that every rank holds in memory
};

/// CIFAR and synthetic data are known without their files; other data sets are opened.
/// @throws as open_job_data.
PlanInput plan_input(const Job& job);

/// Bytes of samples that a rank which trains keeps in memory. With scatter only rank 0 has them, and it may do
/// nothing else.
std::size_t held_sample_bytes(const Job& job, const PlanInput& in);

/// Threads of each of `ranks` ranks: `asked`, else the job's, else those that `lockstep launch` would give them
/// here: their share of the cores.
int planned_threads(const Job& job, int asked, int ranks);

}  // namespace lockstep
