#pragma once
#include <memory>

#include "coordinator/job.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "layers/shape.h"

namespace lockstep {

/// The data of a job as a rank sees it.
struct JobData {
  std::unique_ptr<Dataset> train, val;  // val may be absent where the job does not validate
  std::int64_t train_samples = 0;       // after data.train_samples
  std::int64_t val_samples = 0;
  AugmentOptions augment;
  Shape input;  // of the network
  int classes = 0;
};

/// Opens the data sets and works out the network's input. @throws DataError, MissingFileError,
/// ConfigError (an input size that neither the job nor the data tells).
JobData open_job_data(const Job& job);

}  // namespace lockstep
