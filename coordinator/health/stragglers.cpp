#include "coordinator/health/stragglers.h"

#include <unistd.h>

#include <spdlog/fmt/fmt.h>
#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

namespace lockstep {
namespace {

constexpr int kLooks = 3;

/// All ranks leave these at about the same time; a broadcast's root does not wait.
bool has_all_wait(CollectiveKind kind) {
  return kind == CollectiveKind::kAllReduce || kind == CollectiveKind::kAllGather ||
         kind == CollectiveKind::kBarrier;
}

/// In memory of a fixed size, as all ranks must give the same.
struct Told {
  std::uint64_t count = 0;
  std::array<TimeInCollective, CollectiveLog::kCapacity> times = {};
};

void add(Waits& waits, std::span<const TimeInCollective> one_by_rank) {
  const auto time_in = [](const TimeInCollective& c) { return c.end_ns - c.begin_ns; };
  const auto [last, first] = std::ranges::minmax_element(one_by_rank, {}, time_in);
  ++waits.collectives;
  const auto who = static_cast<std::size_t>(last - one_by_rank.begin());
  ++waits.came_last[who];
  waits.waited_for_s[who] += static_cast<double>(time_in(*first) - time_in(*last)) * 1e-9;
  for (std::size_t r = 0; r < one_by_rank.size(); ++r)
    waits.waited_s[r] += static_cast<double>(time_in(one_by_rank[r]) - time_in(*last)) * 1e-9;
}

}  // namespace

int Waits::slowest() const {
  return static_cast<int>(std::ranges::max_element(waited_for_s) - waited_for_s.begin());
}

Waits find_waits(std::span<const std::vector<TimeInCollective>> by_rank) {
  const std::size_t ranks = by_rank.size();
  Waits waits{.came_last = std::vector<int>(ranks),
              .waited_for_s = std::vector<double>(ranks),
              .waited_s = std::vector<double>(ranks)};
  std::map<std::uint64_t, std::vector<TimeInCollective>> together;
  for (const auto& times : by_rank)
    for (const TimeInCollective& time : times) together[time.sequence].push_back(time);
  std::erase_if(together, [&](const auto& c) { return c.second.size() < ranks; });
  for (const auto& [sequence, one_by_rank] : together) add(waits, one_by_rank);
  if (!together.empty())
    waits.window_s = static_cast<double>(together.rbegin()->second[0].end_ns -
                                         together.begin()->second[0].begin_ns) *
                     1e-9;
  return waits;
}

bool is_straggling(const Waits& waits, double share) {
  if (waits.collectives == 0) return false;
  const double all = std::accumulate(waits.waited_for_s.begin(), waits.waited_for_s.end(), 0.0);
  const double its = waits.waited_for_s[static_cast<std::size_t>(waits.slowest())];
  const double by_chance = 0.5 + 0.5 / static_cast<double>(waits.came_last.size());
  return its > share * waits.window_s && its > by_chance * all;
}

StragglerWatch::StragglerWatch(const HealthOptions& options, const Communicator& group,
                               std::string log_group, std::filesystem::path file)
    : options_(options), group_(group), log_group_(std::move(log_group)), file_(std::move(file)) {}

std::vector<TimeInCollective> StragglerWatch::mine() {
  std::vector<TimeInCollective> times;
  const std::uint64_t seen = seen_;
  for (const CollectiveRecord& r : group_.log().snapshot()) {
    const bool whole = has_all_wait(r.kind) && !r.under_way();
    if (!whole || r.sequence <= seen || !std::string_view(r.group.data()).starts_with(log_group_))
      continue;
    seen_ = std::max(seen_, r.sequence);
    if (seen > 0) times.push_back({r.sequence, r.begin_ns, r.end_ns});
  }
  return times;
}

std::string StragglerWatch::look(std::int64_t step, std::span<const int> world_ranks) {
  const std::vector<TimeInCollective> times = mine();
  Told told{.count = times.size()};
  std::ranges::copy(times, told.times.begin());
  const std::vector<Told> all = group_.all_gather_value(told, "times in collectives");
  if (group_.rank() != 0) return "";
  std::vector<std::vector<TimeInCollective>> by_rank;
  for (const Told& one : all)
    by_rank.emplace_back(one.times.begin(),
                         one.times.begin() + static_cast<std::ptrdiff_t>(one.count));
  const Waits waits = find_waits(by_rank);
  if (waits.collectives == 0) return "";
  if (!file_.empty()) write(waits, step, world_ranks);
  return judge(waits, step, world_ranks);
}

std::string StragglerWatch::judge(const Waits& waits, std::int64_t step,
                                  std::span<const int> world_ranks) {
  const int slowest = waits.slowest();
  if (!is_straggling(waits, options_.straggler_share)) {
    suspect_ = -1;
    return "";
  }
  if (slowest != suspect_) {
    suspect_ = slowest;
    looks_ = 0;
    told_ = false;
  }
  if (++looks_ < kLooks || told_) return "";
  told_ = true;
  const auto at = static_cast<std::size_t>(slowest);
  return fmt::format(
      "step {}: the others wait for rank {}: it came last to {} of the last {} collectives, which "
      "took {:.0f}% "
      "of the time, in {} looks one after the other. Is its node slower, hotter, or shared with "
      "others?",
      step, world_ranks[at], waits.came_last[at], waits.collectives,
      100 * waits.waited_for_s[at] / waits.window_s, kLooks);
}

/// A line that cannot be written is lost: it is no reason to stop.
void StragglerWatch::write(const Waits& waits, std::int64_t step,
                           std::span<const int> world_ranks) const {
  nlohmann::ordered_json line{
      {"step", step}, {"collectives", waits.collectives}, {"window_ms", waits.window_s * 1e3}};
  auto& ranks = line["ranks"] = nlohmann::ordered_json::array();
  for (std::size_t r = 0; r < world_ranks.size(); ++r)
    ranks.push_back({{"rank", world_ranks[r]},
                     {"came_last", waits.came_last[r]},
                     {"waited_for_ms", waits.waited_for_s[r] * 1e3},
                     {"waited_ms", waits.waited_s[r] * 1e3}});
  std::ofstream(file_, std::ios::app) << line.dump() << "\n";
}

}  // namespace lockstep
