#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/batches.h"
#include "coordinator/scatter.h"
#include "data/loader.h"
#include "data/order.h"

namespace lockstep {

/// Keeps the loader ahead of the step, across the ends of epochs: asks for this rank's part of the
/// next micro-batches, in the order in which training will take them. With a scatter, rank 0 sends
/// every rank its samples of some steps before they are asked for; all ranks call next() in step.
class TrainingFeed {
 public:
  struct Options {
    std::int64_t samples = 0;
    std::int64_t batch = 1;  // global
    int worker = 0, workers = 1;  // worker: kNone on a rank that only coordinates
    int world_size = 1, first_worker = 0;  // scatter: world rank of worker 0
    int micro_batches = 1;
    std::uint64_t seed = 1;
    int ahead = 4;  // micro-batches asked for beyond the one in use
  };

  /// `scatter` may be null.
  TrainingFeed(Loader& loader, SampleScatter* scatter, const Options& options, std::int64_t epoch,
               std::int64_t cursor);

  struct MicroBatch {
    Batch batch;
    std::span<const std::int64_t> positions;  // in the epoch's order
  };
  /// The next micro-batch of this rank; valid until the following call.
  MicroBatch next();

 private:
  void ask();
  Positions mine(Positions step, int worker, int micro) const;
  void scatter_window();

  Loader& loader_;
  SampleScatter* scatter_;
  Options options_;
  std::int64_t epoch_, cursor_;  // of the next request
  int micro_ = 0;
  std::optional<EpochOrder> order_;
  std::int64_t order_epoch_ = -1;
  std::int64_t scattered_ = 0;  // of the order's epoch, samples before this position are sent
  std::int64_t window_ = 0;    // the last that was scattered
  struct Asked {
    std::vector<std::int64_t> positions;
    std::int64_t window;
  };
  std::deque<Asked> asked_;  // oldest first
  std::vector<std::int64_t> current_;
};

}  // namespace lockstep
