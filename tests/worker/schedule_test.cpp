#include <gtest/gtest.h>

#include "worker/optimizer.h"

namespace lockstep {
namespace {

double rate(const ScheduleOptions& schedule, double epoch, double epochs = 100,
            const OptimizerOptions& optimizer = {.learning_rate = 0.1}) {
  return learning_rate_at(optimizer, schedule, epoch, epochs, 128);
}

TEST(Schedule, StepFallsAtMilestones) {
  const ScheduleOptions s{.policy = "step", .milestones = {50, 75}, .gamma = 0.1};
  EXPECT_DOUBLE_EQ(rate(s, 49.99), 0.1);
  EXPECT_DOUBLE_EQ(rate(s, 50), 0.01);
  EXPECT_NEAR(rate(s, 80), 0.001, 1e-12);
}

TEST(Schedule, CosineGoesFromTheRateToItsFinalFraction) {
  const ScheduleOptions s{.policy = "cosine", .final_fraction = 0.01};
  EXPECT_DOUBLE_EQ(rate(s, 0), 0.1);
  EXPECT_NEAR(rate(s, 50), 0.1 * (0.01 + 0.99 / 2), 1e-12);
  EXPECT_NEAR(rate(s, 100), 0.001, 1e-12);
}

TEST(Schedule, OneCyclePeaksWhereItSays) {
  const ScheduleOptions s{.policy = "one_cycle", .peak_fraction = 0.25};
  EXPECT_NEAR(rate(s, 0), 0.004, 1e-12);
  EXPECT_NEAR(rate(s, 25), 0.1, 1e-12);
  EXPECT_LT(rate(s, 10), rate(s, 20));
  EXPECT_NEAR(rate(s, 100), 0.0, 1e-12);
}

TEST(Schedule, WarmUpIsLinearAndMeetsThePolicy) {
  const ScheduleOptions s{.policy = "constant", .warmup_epochs = 5, .warmup_start = 0.2};
  EXPECT_DOUBLE_EQ(rate(s, 0), 0.02);
  EXPECT_DOUBLE_EQ(rate(s, 2.5), 0.06);
  EXPECT_DOUBLE_EQ(rate(s, 5), 0.1);
}

TEST(Schedule, LinearScalingRule) {
  const OptimizerOptions o{.learning_rate = 0.1, .reference_batch = 256};
  EXPECT_DOUBLE_EQ(rate({.policy = "constant"}, 1, 10, o), 0.05);
}

}  // namespace
}  // namespace lockstep
