#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/batches.h"
#include "data/loader.h"
#include "data/order.h"

namespace lockstep {

/// Keeps the loader ahead of the step, across the ends of epochs: asks for this rank's part of the
/// next micro-batches, in the order in which training will take them.
class TrainingFeed {
 public:
  struct Options {
    std::int64_t samples = 0;
    std::int64_t batch = 1;  // global
    int rank = 0, ranks = 1;
    int micro_batches = 1;
    std::uint64_t seed = 1;
    int ahead = 4;  // micro-batches asked for beyond the one in use
  };

  TrainingFeed(Loader& loader, const Options& options, std::int64_t epoch, std::int64_t cursor);

  struct MicroBatch {
    Batch batch;
    std::span<const std::int64_t> positions;  // in the epoch's order
  };
  /// The next micro-batch of this rank; valid until the following call.
  MicroBatch next();

 private:
  void ask();

  Loader& loader_;
  Options options_;
  std::int64_t epoch_, cursor_;  // of the next request
  int micro_ = 0;
  std::optional<EpochOrder> order_;
  std::int64_t order_epoch_ = -1;
  std::vector<std::vector<std::int64_t>> asked_;  // positions, oldest first
  std::vector<std::int64_t> current_;
};

}  // namespace lockstep
