#pragma once
#include <memory>

#include "coordinator/job.h"
#include "coordinator/scatter.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "layers/shape.h"

namespace lockstep {

/// The data of a job as a rank sees it.
struct JobData {
  // Opened by this rank (distribute = shared), or sent by rank 0 (scatter). val may be absent where
  // the job does not validate.
  std::unique_ptr<Dataset> train, val;
  std::unique_ptr<SampleScatter> train_scatter, val_scatter;

  const Dataset& train_set() const { return train_scatter ? train_scatter->dataset() : *train; }
  const Dataset& val_set() const { return val_scatter ? val_scatter->dataset() : *val; }

  std::int64_t train_samples = 0;  // after data.train_samples
  std::int64_t val_samples = 0;
  AugmentOptions augment;
  Shape input;  // of the network
  int classes = 0;
  std::vector<std::string> class_names;  // by label; empty: the data has none
};

/// Bytes of samples that each rank that loads holds in memory: all of a source that is read at once (idx, CIFAR). 0 with
/// scatter, where rank 0 alone has them.
std::size_t bytes_in_memory(const JobData& data);
/// Of so many samples as such a source stores them: one byte a value, and the label.
std::size_t bytes_in_memory(const Shape& stored, std::int64_t samples);

/// What a job says of a split of its data, train or val.
DatasetOptions dataset_options(const Job& job, const std::string& split);

/// Whether labels are of pixels (`masks`), or of whole pictures, must be what the model wants.
/// @throws ConfigError.
void check_labels(const Job& job, bool masks);

/// Channels of the network's input where the job says `from_job` (0: as the data has; picture files, which have one or
/// three, become three). @throws ConfigError where such pictures do not become that.
int input_channels(int from_job, const DatasetInfo& info);

/// Each replica must have images: one that never has any only waits, and is no replica.
/// @throws ConfigError: fewer training images, or images of a step, than replicas.
void check_shares(const Job& job, std::int64_t train_samples, int replicas);

/// Lets go of the data on a rank that loads none; those that rank 0 scatters stay: all ranks take part in that.
void close_data(JobData& data);

/// Opens the data sets and works out the network's input. @throws DataError, MissingFileError,
/// ConfigError (an input size that neither the job nor the data tells).
JobData open_job_data(const Job& job);

/// The same for all ranks of a job, as data.distribute says. Collective with scatter.
JobData open_job_data(const Job& job, const Communicator& world);

}  // namespace lockstep
