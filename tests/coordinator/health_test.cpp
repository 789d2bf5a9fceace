#include "coordinator/health/health.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "coordinator/health/fault.h"
#include "coordinator/health/replica_check.h"
#include "data/error.h"

namespace lockstep {
namespace {

const double kNan = std::nan("");
const double kInf = std::numeric_limits<double>::infinity();

HealthOptions options(const std::string& on_nan, const std::string& on_spike) {
  HealthOptions o;
  o.on_nan = on_nan;
  o.on_spike = on_spike;
  o.most_skips = 2;
  return o;
}

/// Tells a health of steps as an executor would: what is beyond the limit is held.
class Steps {
 public:
  explicit Steps(const HealthOptions& o) : health(o) {}
  HealthAction step(double loss, double norm) {
    const double limit = health.norm_limit();
    return health
        .judge({.step = ++number,
                .loss = loss,
                .gradient_norm = norm,
                .held = limit > 0 && !(norm <= limit)})
        .action;
  }
  void well(int steps) {
    for (int i = 0; i < steps; ++i) ASSERT_EQ(step(1, 2 + 0.01 * i), HealthAction::kGoOn);
  }
  StepHealth health;
  std::int64_t number = 0;
};

TEST(NormHistory, MedianOfTheNewest64) {
  NormHistory norms;
  EXPECT_EQ(norms.median(), 0);  // there is none
  for (int i = 0; i < 16; ++i) norms.add(1);
  EXPECT_EQ(norms.median(), 1);
  for (int i = 0; i < 40; ++i) norms.add(5);
  EXPECT_EQ(norms.median(), 5);
  for (int i = 0; i < 64; ++i) norms.add(i);
  EXPECT_EQ(norms.median(), 32);
}

TEST(NormHistory, AllowsMoreWhereThereAreFew) {
  NormHistory norms;
  double before = 41;
  for (int count = 1; count <= 20; ++count) {
    norms.add(3);
    const double allowed = norms.allowed(10);
    EXPECT_LE(allowed, before) << count;
    EXPECT_GE(allowed, 10) << count;
    if (count >= 16) {
      EXPECT_EQ(allowed, 10);
    }
    before = allowed;
  }
  NormHistory one, four;
  one.add(3);
  for (int i = 0; i < 4; ++i) four.add(3);
  EXPECT_NEAR(one.allowed(10), 40.1, 0.1);
  EXPECT_NEAR(four.allowed(10), 15.1, 0.1);
}

TEST(StepHealth, ExplosionsAreFoundInTheFirstSteps) {
  Steps steps(options("stop", "rollback"));
  for (const double norm : {1.2, 3.4, 13.0})
    EXPECT_EQ(steps.step(1, norm), HealthAction::kGoOn) << norm;
  EXPECT_EQ(steps.step(1, 211), HealthAction::kRollBack);
  Steps at_once(options("stop", "stop"));
  EXPECT_EQ(at_once.step(1, 0.8), HealthAction::kGoOn);
  EXPECT_EQ(at_once.step(1, 1400), HealthAction::kStop);
}

/// The first norms of the example jobs that vary the most (on synthetic data, Fashion-MNIST and with small batches).
TEST(StepHealth, OrdinaryFirstStepsAreWell) {
  const std::vector<std::vector<double>> norms{
      {410, 18.6, 12.3, 9.07, 4.74, 4.91, 4.5, 4.36, 4.1, 4.09, 3.54, 3.1},
      {0.528, 0.635, 0.508, 0.491, 0.514, 0.483, 0.512, 0.725, 0.412, 0.497, 0.517, 0.548, 1.8},
      {67.7, 65.6, 58.7, 55.2, 47.9, 43.4, 38.7, 24.9, 21.2, 18.7, 15.2, 13.1},
      {12.5, 7.79, 9.26, 6.06, 8.1, 9.29, 11.1, 7.18, 8.96, 6.12, 5.33, 9.64},
      {0.334, 0.314, 0.465, 0.329, 0.232, 0.375, 0.366, 0.361, 0.319, 0.37, 0.272, 0.354}};
  for (const std::vector<double>& job : norms) {
    Steps steps(options("stop", "stop"));
    for (const double norm : job)
      EXPECT_EQ(steps.step(2, norm), HealthAction::kGoOn) << steps.number;
  }
}

TEST(StepHealth, ANormThatIsNotFiniteIsASpike) {
  EXPECT_EQ(Steps(options("stop", "rollback")).step(1, kInf), HealthAction::kRollBack);
  EXPECT_EQ(Steps(options("stop", "skip")).step(kNan, kNan), HealthAction::kSkip);
  EXPECT_EQ(Steps(options("rollback", "stop")).step(1, kInf), HealthAction::kStop);
  // the norm is well
  EXPECT_EQ(Steps(options("rollback", "skip")).step(kNan, 1), HealthAction::kRollBack);
  Steps ignoring(options("ignore", "warn"));
  EXPECT_EQ(ignoring.step(1, kInf), HealthAction::kWarn);
  EXPECT_EQ(ignoring.step(1, kNan), HealthAction::kGoOn);  // once for all in a row
  EXPECT_EQ(ignoring.step(1, 1), HealthAction::kGoOn);
  EXPECT_EQ(ignoring.step(1, kNan), HealthAction::kWarn);
}

TEST(StepHealth, NotANumber) {
  for (const auto& [loss, norm] : {std::pair{kNan, 1.0}, {1.0, kNan}, {1.0, kInf}, {-kInf, 1.0}}) {
    EXPECT_EQ(Steps(options("stop", "warn")).step(loss, norm), HealthAction::kStop);
    EXPECT_EQ(Steps(options("rollback", "warn")).step(loss, norm), HealthAction::kRollBack);
    EXPECT_EQ(Steps(options("skip", "warn")).step(loss, norm), HealthAction::kSkip);
    EXPECT_EQ(Steps(options("ignore", "ignore")).step(loss, norm), HealthAction::kGoOn);
  }
  StepHealth health(options("stop", "warn"));
  const HealthVerdict verdict = health.judge({.step = 7, .loss = kNan, .gradient_norm = kInf});
  EXPECT_EQ(verdict.what, "step 7: the loss is nan, the gradient's norm inf");
}

TEST(StepHealth, WhatIsHeld) {
  EXPECT_EQ(StepHealth(options("ignore", "warn")).norm_limit(), 0);  // nothing
  EXPECT_EQ(StepHealth(options("stop", "skip")).norm_limit(), std::numeric_limits<double>::max());
  Steps skips(options("stop", "skip"));
  skips.well(20);
  EXPECT_NEAR(skips.health.norm_limit(), 21, 1);
  Steps warns(options("stop", "warn"));
  warns.well(20);
  EXPECT_EQ(warns.health.norm_limit(), std::numeric_limits<double>::max());
}

TEST(StepHealth, SpikesAreToldFromTheMedian) {
  Steps steps(options("stop", "skip"));
  EXPECT_EQ(steps.step(1, 1e6), HealthAction::kGoOn);  // nothing to compare with
  steps.well(20);
  EXPECT_EQ(steps.step(1, 19), HealthAction::kGoOn);
  EXPECT_EQ(steps.step(1, 30), HealthAction::kSkip);
  EXPECT_EQ(steps.step(1, 2), HealthAction::kGoOn);
}

TEST(StepHealth, TooManySkipsInARowAreAStop) {
  Steps steps(options("skip", "warn"));
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_EQ(steps.step(kNan, kNan), HealthAction::kSkip);
    EXPECT_EQ(steps.step(kNan, kNan), HealthAction::kSkip);
    steps.well(1);
  }
  steps.step(kNan, kNan);
  steps.step(kNan, kNan);
  EXPECT_EQ(steps.step(kNan, kNan), HealthAction::kStop);
}

TEST(StepHealth, RollBacksBecauseOfOneStepAreBounded) {
  Steps steps(options("rollback", "warn"));
  const auto again_at = [&](std::int64_t step) {
    steps.number = step - 1;
    steps.health.forget();
    return steps.step(kNan, kNan);
  };
  EXPECT_EQ(again_at(5), HealthAction::kRollBack);
  EXPECT_EQ(again_at(5), HealthAction::kRollBack);
  EXPECT_EQ(again_at(9), HealthAction::kRollBack);
  EXPECT_EQ(again_at(9), HealthAction::kRollBack);
  EXPECT_EQ(again_at(9), HealthAction::kStop);
}

TEST(StepHealth, AResumedRunJudgesAsBefore) {
  Steps whole(options("skip", "skip")), resumed(options("skip", "skip"));
  whole.well(20);
  whole.step(kNan, kNan);
  for (int i = 0; i < 20; ++i) resumed.health.remember(2 + 0.01 * i, false);
  resumed.health.remember(kNan, true);
  resumed.number = whole.number;
  EXPECT_EQ(whole.health.norm_limit(), resumed.health.norm_limit());
  for (const double norm : {100.0, 100.0, 2.0, 100.0})
    EXPECT_EQ(whole.step(1, norm), resumed.step(1, norm));
}

TEST(FirstNotFinite, IsFoundWhereverItLies) {
  std::vector<float> values(10000, 1e38f);
  values[3] = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(first_not_finite(values), -1);
  for (const std::size_t at : {9999ul, 4096ul, 4095ul, 0ul}) {
    values[at] = at % 2 ? -std::numeric_limits<float>::infinity() : std::nanf("");
    EXPECT_EQ(first_not_finite(values), static_cast<std::int64_t>(at));
  }
  EXPECT_EQ(first_not_finite({}), -1);
}

TEST(FindDivergence, NamesTensorAndReplica) {
  using Hashes = std::vector<std::vector<std::uint64_t>>;
  EXPECT_FALSE(find_divergence(Hashes{{1, 2, 3}, {1, 2, 3}}));
  const auto two = find_divergence(Hashes{{1, 2, 3}, {1, 9, 8}});
  ASSERT_TRUE(two);
  EXPECT_EQ(two->tensor, 1u);
  EXPECT_EQ(two->tensors, 2u);
  EXPECT_TRUE(two->outliers.empty());
  const auto three = find_divergence(Hashes{{1, 2, 7}, {1, 2, 3}, {1, 2, 3}});
  ASSERT_TRUE(three);
  EXPECT_EQ(three->tensor, 2u);
  EXPECT_EQ(three->outliers, std::vector<int>{0});
  EXPECT_TRUE(find_divergence(Hashes{{1}, {2}, {3}})->outliers.empty());
}

TEST(ParseFault, WordsAndMistakes) {
  const Fault fault = parse_fault("flip:2:30");
  EXPECT_EQ(fault.kind, FaultKind::kFlip);
  EXPECT_EQ(fault.rank, 2);
  EXPECT_EQ(fault.step, 30);
  for (const char* wrong : {"", "flip", "flip:0", "flip:0:0", "flip:-1:2", "burn:0:1", "flip:0:1x"})
    EXPECT_THROW(parse_fault(wrong), ConfigError) << wrong;
}

}  // namespace
}  // namespace lockstep
