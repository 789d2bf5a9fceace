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

}  // namespace lockstep
