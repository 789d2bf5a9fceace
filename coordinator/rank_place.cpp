#include "coordinator/rank_place.h"

namespace lockstep {

RankPlace::RankPlace(const ParallelOptions& options, const Communicator& all)
    : world(all),
      works(options.coordinator != "dedicated" || all.rank() > 0),
      first_worker(options.coordinator == "dedicated" ? 1 : 0),
      workers(all.split(works ? 1 : 0, all.rank(), "workers")),
      grid(make_grid(options.stages, all, first_worker)) {
  if (staged() && works) groups.emplace(split_grid(grid, workers));
}

std::vector<int> RankPlace::world_ranks_of_stage(int of_stage) const {
  std::vector<int> ranks;
  for (int r = 0; r < grid.replicas(); ++r)
    ranks.push_back(first_worker + grid.worker(r, of_stage));
  return ranks;
}

}  // namespace lockstep
