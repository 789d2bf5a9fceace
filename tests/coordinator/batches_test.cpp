#include "coordinator/plan/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "data/order.h"

namespace lockstep {
namespace {

/// Samples that `ranks` ranks see in `steps` steps from `cursor` on, or to the end of the epoch.
std::vector<std::int64_t> seen(const EpochOrder& order, std::int64_t& cursor, std::int64_t batch,
                               int ranks, int micro_batches, int steps) {
  std::vector<std::int64_t> samples;
  for (int s = 0; s < steps && cursor < order.size(); ++s) {
    const Positions step = step_positions(cursor, order.size(), batch);
    for (int r = 0; r < ranks; ++r) {
      for (int m = 0; m < micro_batches; ++m) {
        const Positions part = micro_batch_positions(step, r, ranks, m, micro_batches);
        EXPECT_LE(part.count(), largest_micro_batch(batch, ranks, micro_batches));
        for (std::int64_t p = part.begin; p < part.end; ++p) samples.push_back(order.sample(p));
      }
    }
    cursor = step.end;
  }
  return samples;
}

TEST(Batches, EverySampleOnceWhateverTheRanksAndWhereverTheyChange) {
  for (int first_ranks : {1, 2, 3}) {
    for (int then_ranks : {1, 2, 4, 7}) {
      const EpochOrder order(101, 5, 3);
      std::int64_t cursor = 0;
      auto samples = seen(order, cursor, 16, first_ranks, 2, 3);
      EXPECT_EQ(cursor, 48);
      const auto rest = seen(order, cursor, 24, then_ranks, 1, 1000);
      samples.insert(samples.end(), rest.begin(), rest.end());
      std::sort(samples.begin(), samples.end());
      ASSERT_EQ(samples.size(), 101u);
      for (std::int64_t i = 0; i < 101; ++i) EXPECT_EQ(samples[static_cast<std::size_t>(i)], i);
    }
  }
}

TEST(Batches, PartsAreContiguousAndEven) {
  const Positions whole{10, 23};
  std::int64_t at = 10;
  for (int i = 0; i < 4; ++i) {
    const Positions part = part_of(whole, i, 4);
    EXPECT_EQ(part.begin, at);
    EXPECT_GE(part.count(), 3);
    EXPECT_LE(part.count(), 4);
    at = part.end;
  }
  EXPECT_EQ(at, 23);
}

TEST(Batches, AShortStepLeavesSomeRanksWithoutSamples) {
  const Positions step = step_positions(100, 101, 16);
  EXPECT_EQ(step.count(), 1);
  std::int64_t total = 0;
  for (int r = 0; r < 4; ++r) total += part_of(step, r, 4).count();
  EXPECT_EQ(total, 1);
}

TEST(Batches, StepsOfAnEpochIncludeTheShortOne) {
  EXPECT_EQ(steps_per_epoch(100, 16), 7);
  EXPECT_EQ(steps_per_epoch(96, 16), 6);
}

}  // namespace
}  // namespace lockstep
