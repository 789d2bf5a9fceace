#include "data/timing.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Median, IsTheMiddleOrBetweenTheTwoThere) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 100, 2}), 3);
}

TEST(MedianRatio, ComparesWhatWasMeasuredTogether) {
  // The machine was four times slower in the middle: the ratio of each pair does not see it.
  EXPECT_EQ(median_ratio({1, 4, 1}, {2, 8, 2}), 0.5);
  EXPECT_EQ(median_ratio({1, 4, 9}, {2, 2, 3}), 2);
}

TEST(MedianInterval, HoldsTheMedianAndIsTheSameEveryTime) {
  const std::vector<double> values{1.0, 1.4, 1.5, 1.6, 1.7, 1.8, 9.0};
  const Interval interval = median_interval(values);
  EXPECT_LT(interval.low, median(values));
  EXPECT_GT(interval.high, median(values));
  EXPECT_GE(interval.low, 1.0);
  EXPECT_LE(interval.high, 9.0);
  EXPECT_EQ(interval.low, median_interval(values).low);
  EXPECT_EQ(median_interval({2, 2, 2}).high, 2);
  EXPECT_EQ(median_interval({}).low, 0);
}

TEST(SecondsNow, GoesForward) {
  const double before = seconds_now();
  EXPECT_GE(seconds_now(), before);
}

}  // namespace
}  // namespace lockstep
