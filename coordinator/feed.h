#pragma once
#include <deque>
#include <optional>
#include <vector>

#include "coordinator/plan/batches.h"
#include "coordinator/scatter.h"
#include "data/loader.h"
#include "data/order.h"

namespace lockstep {

/// Keeps the loader ahead of the step, across the ends of epochs: asks for this replica's part of the
/// next micro-batches, in the order in which training will take them. With a scatter, rank 0 sends
/// the ranks that load their samples of some steps before they are asked for; all ranks call next() in
/// step. Ranks that do not load (later stages, a rank that only coordinates) know sizes and positions.
class TrainingFeed {
 public:
  struct Options {
    std::int64_t samples = 0;
    std::int64_t batch = 1;         // global
    int replica = 0, replicas = 1;  // replica: kNone on a rank that only coordinates
    int world_size = 1;
    std::vector<int> loading_rank;  // scatter: by replica, the world rank that loads; empty: itself
    int micro_batches = 1;
    bool at_once = false;  // next() gives all micro-batches of a step; else one
    std::uint64_t seed = 1;
    int ahead = 4;  // requests beyond the one in use
  };

  /// `loader` is null on ranks that do not load; `scatter` may be null.
  TrainingFeed(Loader* loader, SampleScatter* scatter, const Options& options, std::int64_t epoch,
               std::int64_t cursor);

  struct MicroBatch {
    std::span<const float> pixels;  // empty on ranks that do not load
    std::span<const std::int32_t> labels;
    std::span<const std::int64_t> positions;  // in the epoch's order
  };
  /// The next of this replica; valid until the following call.
  std::span<const MicroBatch> next();

 private:
  void ask();
  Positions mine(Positions step) const;
  void scatter_window();

  Loader* loader_;
  SampleScatter* scatter_;
  Options options_;
  std::int64_t epoch_, cursor_;  // of the next request
  int micro_ = 0;
  std::optional<EpochOrder> order_;
  std::int64_t order_epoch_ = -1;
  std::int64_t scattered_ = 0;  // of the order's epoch, samples before this position are sent
  std::int64_t window_ = 0;     // the last that was scattered
  struct Asked {
    std::vector<std::int64_t> positions;
    std::int64_t window;
  };
  std::deque<Asked> asked_;  // oldest first
  std::vector<std::int64_t> current_;
  std::vector<MicroBatch> parts_;
};

/// The images `part` of a batch; `positions` (of the whole batch) may be empty.
TrainingFeed::MicroBatch slice(const Batch& batch, std::span<const std::int64_t> positions,
                               Positions part);

}  // namespace lockstep
