#pragma once
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/received_dataset.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// distribute = scatter: rank 0 alone reads the data set, and sends every rank the samples of its
/// part as they are stored (decoding and augmentation stay with the receiver). All ranks call send()
/// at the same points of their steps.
class SampleScatter {
 public:
  /// `source` on rank 0, null elsewhere. Collective: tells all ranks what the data set is.
  SampleScatter(std::unique_ptr<Dataset> source, const Communicator& world);

  /// What this rank reads: the data set itself on rank 0, what has arrived elsewhere.
  const Dataset& dataset() const;

  /// Sends rank r the samples wanted[r]; `wanted` is the same on all ranks. Returns the number of
  /// this window, from 0.
  std::int64_t send(const std::vector<std::vector<std::int64_t>>& wanted);

  /// Frees the samples of the windows before `window`.
  void forget_before(std::int64_t window);

 private:
  void send_to(int rank, const std::vector<std::int64_t>& samples) const;
  void receive(const std::vector<std::int64_t>& samples);

  const Communicator& world_;
  std::unique_ptr<Dataset> source_;            // rank 0
  std::unique_ptr<ReceivedDataset> received_;  // the others
  std::int64_t window_ = 0;
};

}  // namespace lockstep
