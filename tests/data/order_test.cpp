#include "data/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace lockstep {
namespace {

std::vector<std::int64_t> all(const EpochOrder& order) { return order.samples(0, order.size()); }

TEST(EpochOrder, IsAPermutation) {
  for (const std::int64_t samples : {0, 1, 2, 3, 1000}) {
    std::vector<std::int64_t> order = all(EpochOrder(samples, 5, 3));
    std::sort(order.begin(), order.end());
    std::vector<std::int64_t> expected(static_cast<std::size_t>(samples));
    std::iota(expected.begin(), expected.end(), std::int64_t{0});
    EXPECT_EQ(order, expected);
  }
}

TEST(EpochOrder, DependsOnSeedAndEpochOnly) {
  EXPECT_EQ(all(EpochOrder(100, 1, 0)), all(EpochOrder(100, 1, 0)));
  EXPECT_NE(all(EpochOrder(100, 1, 0)), all(EpochOrder(100, 1, 1)));
  EXPECT_NE(all(EpochOrder(100, 1, 0)), all(EpochOrder(100, 2, 0)));
}

// Runs are resumed by newer programs on other machines: these numbers must never change.
TEST(EpochOrder, KeepsItsBits) {
  EXPECT_EQ(all(EpochOrder(10, 1, 0)), (std::vector<std::int64_t>{5, 9, 7, 1, 2, 3, 0, 8, 6, 4}));
}

TEST(EpochOrder, PutsEverySampleEverywhere) {
  int counts[4][4] = {};
  for (int epoch = 0; epoch < 4000; ++epoch) {
    const EpochOrder order(4, 9, epoch);
    for (int position = 0; position < 4; ++position) ++counts[position][order.sample(position)];
  }
  for (const auto& row : counts) {
    for (const int count : row) EXPECT_NEAR(count, 1000, 140);  // five standard deviations
  }
}

TEST(EpochOrder, IdentityIsAsStored) {
  const EpochOrder order = EpochOrder::identity(5);
  EXPECT_EQ(order.size(), 5);
  EXPECT_EQ(order.samples(1, 4), (std::vector<std::int64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace lockstep
