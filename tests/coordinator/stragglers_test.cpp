#include "coordinator/health/stragglers.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

/// Collectives of 0.1 ms after 10 ms of work each; arrive[r][i] ms late comes rank r to the i-th.
std::vector<std::vector<TimeInCollective>> times(const std::vector<std::vector<int>>& late) {
  std::vector<std::vector<TimeInCollective>> by_rank(late.size());
  for (std::size_t i = 0; i < late[0].size(); ++i) {
    int last = 0;
    for (const auto& of_rank : late) last = std::max(last, of_rank[i]);
    for (std::size_t r = 0; r < late.size(); ++r) {
      const auto offset = static_cast<std::int64_t>(r) * 77777;  // clocks of their own
      const auto start = static_cast<std::int64_t>(i + 1) * 10 * kMillisecond + offset;
      by_rank[r].push_back({i + 5, start + late[r][i] * kMillisecond,
                            start + last * kMillisecond + kMillisecond / 10});
    }
  }
  return by_rank;
}

TEST(FindWaits, WhoCameLastAndHowLongOthersWaited) {
  const Waits waits = find_waits(times({{0, 0, 3}, {2, 1, 0}, {1, 4, 0}}));
  EXPECT_EQ(waits.collectives, 3);
  EXPECT_EQ(waits.came_last, (std::vector<int>{1, 1, 1}));
  EXPECT_NEAR(waits.waited_for_s[0], 3e-3, 1e-9);
  EXPECT_NEAR(waits.waited_for_s[1], 2e-3, 1e-9);
  EXPECT_NEAR(waits.waited_for_s[2], 4e-3, 1e-9);
  EXPECT_NEAR(waits.waited_s[0], 6e-3, 1e-9);
  EXPECT_EQ(waits.slowest(), 2);
  EXPECT_NEAR(waits.window_s, 23.1e-3, 1e-9);
}

TEST(FindWaits, OnlyOfCollectivesThatAllKnow) {
  auto by_rank = times({{0, 0, 0}, {1, 1, 1}});
  by_rank[1].erase(by_rank[1].begin());
  EXPECT_EQ(find_waits(by_rank).collectives, 2);
  by_rank[0].clear();
  EXPECT_EQ(find_waits(by_rank).collectives, 0);
  EXPECT_FALSE(is_straggling(find_waits(by_rank), 0.1));
}

TEST(IsStraggling, OneRankAndNotChance) {
  EXPECT_TRUE(is_straggling(find_waits(times({{0, 0, 0, 0}, {3, 3, 2, 3}})), 0.1));
  // little of the time
  EXPECT_FALSE(is_straggling(find_waits(times({{0, 0, 0, 0}, {3, 3, 2, 3}})), 0.5));
  EXPECT_FALSE(is_straggling(find_waits(times({{0, 2, 0, 2}, {3, 0, 2, 0}})), 0.05));  // by turns
  EXPECT_TRUE(is_straggling(find_waits(times({{0, 0, 1, 0}, {0, 0, 0, 1}, {4, 4, 0, 4}})), 0.1));
}

}  // namespace
}  // namespace lockstep
