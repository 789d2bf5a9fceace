#include <gtest/gtest.h>

#include <cmath>

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

TEST(Schedule, PlateauFallsWhereValidationsDoNotImprove) {
  const ScheduleOptions s{
      .policy = "plateau", .gamma = 0.5, .final_fraction = 0.2, .patience = 2, .threshold = 0.01};
  PlateauState state;
  std::vector<double> factors;
  std::int64_t step = 0;
  for (double loss : {2.0, 1.0, 0.995, std::nan(""), 0.98, 1.0, 0.99, 1.0, 1.0, 1.0, 1.0}) {
    count_validation(s, ++step, loss, state);
    factors.push_back(learning_rate_at({.learning_rate = 1}, s, 3, 10, 128, state.falls));
  }
  EXPECT_EQ(factors, (std::vector<double>{1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2}));
  EXPECT_EQ(state.best, 0.98);
  EXPECT_EQ(state.falls, 3);  // not again at the lowest rate
}

TEST(Schedule, PlateauCountsAStepOnceAndForgetsTheBestOfAnotherMetric) {
  ScheduleOptions s{.policy = "plateau", .patience = 1};
  PlateauState state;
  EXPECT_FALSE(count_validation(s, 5, 1.0, state));
  EXPECT_TRUE(count_validation(s, 10, 1.0, state));
  EXPECT_FALSE(count_validation(s, 10, 1.0, state));
  EXPECT_EQ(state.falls, 1);
  s.plateau_metric = "accuracy";
  EXPECT_FALSE(count_validation(s, 15, 0.5, state));
  EXPECT_FALSE(count_validation(s, 20, 0.6, state));
  EXPECT_TRUE(count_validation(s, 25, 0.6, state));
  EXPECT_EQ(state.best, 0.6);
}

TEST(Schedule, LinearScalingRule) {
  const OptimizerOptions o{.learning_rate = 0.1, .reference_batch = 256};
  EXPECT_DOUBLE_EQ(rate({.policy = "constant"}, 1, 10, o), 0.05);
}

TEST(Schedule, KeepsTheLastRateOfACurveThatHasEnded) {
  const OptimizerOptions optimizer{.learning_rate = 0.1};
  const ScheduleOptions whole{.policy = "cosine"}, kept{.policy = "cosine", .epochs = 2};
  const auto at = [&](const ScheduleOptions& s, double epoch, double epochs) {
    return scheduled_rate(optimizer, s, {.epoch = epoch, .last_step = 0.25, .train_epochs = epochs},
                          128);
  };
  EXPECT_EQ(at(kept, 1.5, 4), at(whole, 1.5, 2));
  EXPECT_EQ(at(kept, 1.75, 4), at(whole, 1.75, 2));
  EXPECT_EQ(at(kept, 3.5, 4), at(whole, 1.75, 2));
  EXPECT_GT(at(kept, 3.5, 4), 0);
}

TEST(Schedule, SaysHowTheRateJumps) {
  const OptimizerOptions optimizer{.learning_rate = 0.1};
  const CurvePlace place{.epoch = 2, .last_step = 0.25, .train_epochs = 4};
  const std::string jump = rate_jump(optimizer, {.policy = "cosine"}, 2, place, 128);
  EXPECT_EQ(jump.find("the learning rate goes from 0.003806 to 0.05: "), 0u) << jump;
  EXPECT_NE(jump.find("schedule.epochs = 2 keeps the old curve"), std::string::npos) << jump;
  EXPECT_EQ(rate_jump(optimizer, {.policy = "cosine", .epochs = 2}, 2, place, 128), "");
  EXPECT_EQ(rate_jump(optimizer, {.policy = "cosine"}, 4, place, 128), "");
  EXPECT_EQ(rate_jump(optimizer, {.policy = "cosine"}, 0, place, 128), "");  // not known
  EXPECT_EQ(rate_jump(optimizer, {.policy = "step"}, 2, place, 128), "");
}

TEST(LargeBatch, LinearScalingHasItsLimit) {
  const OptimizerOptions scaled{.learning_rate = 0.1f, .reference_batch = 256},
      fixed{.learning_rate = 0.1f};
  EXPECT_EQ(large_batch_warning(scaled, 8192), "");
  EXPECT_EQ(large_batch_warning(fixed, 65536), "");
  EXPECT_NE(
      large_batch_warning(scaled, 8193).find("train.batch = 8193 with a rate scaled linearly"),
      std::string::npos);
}

TEST(Schedule, ARateForSgdIsNoneForAdamW) {
  EXPECT_EQ(optimizer_rate_warning({.learning_rate = 0.1}), "");
  EXPECT_EQ(optimizer_rate_warning({.name = OptimizerKind::kAdamW, .learning_rate = 0.003}), "");
  EXPECT_NE(optimizer_rate_warning({.name = OptimizerKind::kAdamW, .learning_rate = 0.1}), "");
}

}  // namespace
}  // namespace lockstep
