#include "coordinator/stages/grid.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

#include "coordinator/plan/index.h"
#include "data/error.h"
#include "data/host.h"

namespace lockstep {

namespace {

[[noreturn]] void refuse(int workers, int stages) {
  std::string counts;
  for (int s = 1; s <= workers; ++s)
    if (workers % s == 0) counts += (counts.empty() ? "" : ", ") + std::to_string(s);
  throw ConfigError("parallel.stages = " + std::to_string(stages) + " does not divide " +
                    std::to_string(workers) + " workers into replicas; with so many, use " +
                    counts + " stages, or start " +
                    std::to_string((workers / stages + 1) * stages) + " workers");
}

}  // namespace

Grid::Grid(int workers, int stages, std::span<const std::uint64_t> host_of_worker)
    : stages_(stages), worker_at_(at(workers)), slot_of_(at(workers)) {
  if (workers % stages != 0) refuse(workers, stages);
  std::iota(worker_at_.begin(), worker_at_.end(), 0);
  if (!host_of_worker.empty()) {
    std::map<std::uint64_t, int> first_on;  // by host
    for (int w = 0; w < workers; ++w) first_on.try_emplace(host_of_worker[at(w)], w);
    std::ranges::stable_sort(worker_at_, {},
                             [&](int w) { return first_on.at(host_of_worker[at(w)]); });
  }
  for (int slot = 0; slot < workers; ++slot) slot_of_[at(worker_at_[at(slot)])] = slot;
}

Grid make_grid(int stages, const Communicator& world, int first_worker) {
  const std::vector<std::uint64_t> hosts = world.all_gather_value(host_key(), "hosts");
  return Grid(world.size() - first_worker, stages, std::span(hosts).subspan(at(first_worker)));
}

GridGroups split_grid(const Grid& grid, const Communicator& workers) {
  const int replica = grid.replica_of(workers.rank()), stage = grid.stage_of(workers.rank());
  return {workers.split(stage, replica, "replicas of stage " + std::to_string(stage)),
          workers.split(replica, stage, "stages of replica " + std::to_string(replica))};
}

}  // namespace lockstep
