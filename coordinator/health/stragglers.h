#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/job.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// One rank's time in a collective. All leave it at about the same moment, so who was in it for the shortest time
/// came last, and the others waited for it. No clocks have to agree.
struct TimeInCollective {
  std::uint64_t sequence = 0;  // equal on all ranks
  std::int64_t begin_ns = 0, end_ns = 0;
};

/// Who waited for whom in the collectives that all ranks tell of.
struct Waits {
  int collectives = 0;
  double window_s = 0;         // from the first one's begin to the last one's end, on rank 0
  std::vector<int> came_last;  // by rank, how often
  // by rank, how long the first to come waited for it, as the last
  std::vector<double> waited_for_s;
  std::vector<double> waited_s;  // by rank, how long it waited for the last

  int slowest() const;  // that was waited for the longest time
};

Waits find_waits(std::span<const std::vector<TimeInCollective>> by_rank);

/// Whether the others wait for the slowest so long that it matters (`share` of the time) and more than ranks wait for each
/// other by chance: half of all waits, and half of the rest with two.
bool is_straggling(const Waits& waits, double share);

/// Looks now and then at the last collectives of a group of replicas, up to 256 and none twice, writes who waited for whom
/// to a file, and warns of a rank that has straggled in three looks one after the other. The first look is at how
/// the ranks started, and does not count.
class StragglerWatch {
 public:
  /// `group`: of which collectives are looked at; `log_group`: how its name begins in the log. `file`: of rank 0 of
  /// the group; empty: none.
  StragglerWatch(const HealthOptions& options, const Communicator& group, std::string log_group,
                 std::filesystem::path file);

  /// Collective. `world_rank`: of a rank of the group. The warning, on rank 0 of the group; empty: none.
  std::string look(std::int64_t step, std::span<const int> world_ranks);

 private:
  std::vector<TimeInCollective> mine();
  std::string judge(const Waits& waits, std::int64_t step, std::span<const int> world_ranks);
  void write(const Waits& waits, std::int64_t step, std::span<const int> world_ranks) const;

  HealthOptions options_;
  const Communicator& group_;
  std::string log_group_;
  std::filesystem::path file_;
  std::uint64_t seen_ = 0;        // the last collective of the last look; 0: none yet
  int suspect_ = -1, looks_ = 0;  // how many the suspect has straggled in
  bool told_ = false;
};

}  // namespace lockstep
