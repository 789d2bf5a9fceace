#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "coordinator/job.h"
#include "coordinator/stages/grid.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// Where a rank is in a job: whether it trains, in which replica, at which stage.
struct RankPlace {
  /// `world` must outlive it. Collective. @throws ConfigError if the workers are no multiple of the stages.
  RankPlace(const ParallelOptions& options, const Communicator& world);

  bool first() const { return world.rank() == 0; }  // it keeps the run directory
  bool first_to_work() const { return works && workers.rank() == 0; }
  bool staged() const { return grid.stages() > 1; }
  int stage() const { return grid.stage_of(workers.rank()); }
  int replica() const { return works ? grid.replica_of(workers.rank()) : kNone; }
  bool loads() const { return works && stage() == 0; }
  /// Ranks that hold the same parameters as this one; its place there is its replica's.
  const Communicator& replicas() const { return groups ? groups->same_stage : workers; }
  std::vector<int> world_ranks_of_stage(int of_stage) const;  // by replica

  /// Gives a rank that only coordinates what the first worker knows. Collective.
  template <typename T>
  void share_with_coordinator(T& value, std::string_view name) const {
    if (first_worker > 0) world.broadcast_value(value, first_worker, name);
  }

  const Communicator& world;
  bool works;            // false: rank 0 of a job with coordinator = dedicated
  int first_worker;      // world rank of worker 0
  Communicator workers;  // those that train (on a rank that only coordinates: itself alone)
  Grid grid;             // of the workers
  std::optional<GridGroups> groups;  // staged, of one that works
};

}  // namespace lockstep
