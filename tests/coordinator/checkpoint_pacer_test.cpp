#include "coordinator/checkpoint_pacer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

/// Time that a job loses per second of work, to first order: saves, and half an interval a failure.
double lost(double interval, double cost, double mean_time_to_failure) {
  // Daly's model: work and save, repeated until no failure hits it
  const double segment = interval + cost;
  return mean_time_to_failure * std::expm1(segment / mean_time_to_failure) / interval;
}

TEST(CheckpointInterval, LosesLessThanItsNeighbours) {
  for (const auto& [cost, mttf] :
       {std::pair{5.0, 3600.0}, {60.0, 86400.0}, {0.01, 100.0}, {20.0, 200.0}}) {
    const double best = checkpoint_interval_s(cost, mttf);
    for (const double factor : {0.7, 1.4})
      EXPECT_LT(lost(best, cost, mttf), lost(factor * best, cost, mttf)) << cost << " " << mttf;
    EXPECT_NEAR(best / std::sqrt(2 * cost * mttf), 1, 0.3);
  }
  EXPECT_EQ(checkpoint_interval_s(50, 20), 20);
}

TEST(CheckpointPacer, WaitsByTheMeasuredCost) {
  CheckpointPacer pacer(3600, 0, std::nullopt, 0);
  EXPECT_FALSE(pacer.due(80));
  EXPECT_TRUE(pacer.due(86));  // of a guess: a second
  for (int i = 0; i < 50; ++i) pacer.step(1, false);
  pacer.save_began(100, 0.5);
  EXPECT_FALSE(pacer.due(1e6));
  for (int i = 0; i < 10; ++i) pacer.step(1.1, true);
  pacer.save_ended(110, 0.5);
  EXPECT_NEAR(pacer.cost_s(), 2, 1e-9);  // waited for, and ten slower steps
  EXPECT_NEAR(pacer.interval_s(), checkpoint_interval_s(2, 3600), 1e-9);
  EXPECT_FALSE(pacer.due(110 + pacer.interval_s() - 0.1));
  EXPECT_TRUE(pacer.due(110 + pacer.interval_s() + 0.1));
}

TEST(CheckpointPacer, SoManySecondsAfterTheLast) {
  CheckpointPacer pacer(0, 600, std::nullopt, 50);
  EXPECT_FALSE(pacer.due(649));
  EXPECT_TRUE(pacer.due(650));
  pacer.save_began(700, 0.5);
  EXPECT_FALSE(pacer.due(5000));  // that one is under way
  pacer.save_ended(701, 0.5);
  EXPECT_FALSE(pacer.due(1300));
  EXPECT_TRUE(pacer.due(1301));
  // the mean time to failure decides
  EXPECT_FALSE(CheckpointPacer(1e6, 600, std::nullopt, 0).due(700));
}

TEST(CheckpointPacer, OnceBeforeTheLimit) {
  CheckpointPacer pacer(0, 0, 1000, 0);
  EXPECT_FALSE(pacer.due(969));
  EXPECT_TRUE(pacer.due(970));
  pacer.save_began(100, 0);
  pacer.save_ended(150, 0);  // a save takes 50 seconds
  EXPECT_FALSE(pacer.due(849));
  EXPECT_TRUE(pacer.due(850));
  pacer.save_began(851, 0);
  pacer.save_ended(890, 0);
  EXPECT_FALSE(pacer.due(999));
  EXPECT_FALSE(CheckpointPacer(0, 0, std::nullopt, 0).due(1e9));
}

}  // namespace
}  // namespace lockstep
