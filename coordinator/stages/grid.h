#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "worker/comm/communicator.h"

namespace lockstep {

/// Which worker does what: replicas x stages. The stages of a replica are neighbours, on one node
/// where they fit: they send activations, replicas of a stage only gradients.
class Grid {
 public:
  /// `host_of_worker`: equal where two workers are on the same node; empty: all on one.
  /// @throws ConfigError if the workers are no multiple of the stages.
  Grid(int workers, int stages, std::span<const std::uint64_t> host_of_worker = {});

  int replicas() const { return static_cast<int>(worker_at_.size()) / stages_; }
  int stages() const { return stages_; }
  int workers() const { return static_cast<int>(worker_at_.size()); }
  int replica_of(int worker) const { return slot_of_[static_cast<std::size_t>(worker)] / stages_; }
  int stage_of(int worker) const { return slot_of_[static_cast<std::size_t>(worker)] % stages_; }
  int worker(int replica, int stage) const {
    return worker_at_[static_cast<std::size_t>(replica * stages_ + stage)];
  }

 private:
  int stages_;
  std::vector<int> worker_at_, slot_of_;  // slot = replica * stages + stage
};

/// The groups of one worker. Ranks: in `same_stage` the replica, in `same_replica` the stage.
struct GridGroups {
  Communicator same_stage;    // gradients and SyncBN
  Communicator same_replica;  // activations, loss
};

/// Of the ranks of `world` from `first_worker` on, which are asked for their nodes. Collective.
Grid make_grid(int stages, const Communicator& world, int first_worker = 0);

/// Collective.
GridGroups split_grid(const Grid& grid, const Communicator& workers);

}  // namespace lockstep
