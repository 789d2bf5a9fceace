#include "coordinator/step_vote.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

TEST(StepVotes, NobodyWantsAnything) {
  const StepVotes votes = count(std::vector<StepVote>(3));
  EXPECT_EQ(votes.ranks, 3);
  EXPECT_FALSE(votes.stops());
  EXPECT_FALSE(votes.disagree());
  EXPECT_FALSE(votes.all_written());
  EXPECT_EQ(votes.due, 0);
}

TEST(StepVotes, ACheckpointIsWrittenWhenAllHaveWritten) {
  std::vector<StepVote> votes(3, {.written = true});
  EXPECT_TRUE(count(votes).all_written());
  votes[1].written = false;
  EXPECT_FALSE(count(votes).all_written());
}

TEST(StepVotes, OneIsEnoughToStop) {
  std::vector<StepVote> votes(3);
  votes[2].stop = true;
  EXPECT_TRUE(count(votes).stops());
  votes[2].stop = false;
  votes[0].asked = true;
  EXPECT_TRUE(count(votes).stops());
}

TEST(StepVotes, AStepIsUnhealthyForAllOrForNone) {
  std::vector<StepVote> votes(3, {.unhealthy = true});
  EXPECT_FALSE(count(votes).disagree());
  votes[0].unhealthy = false;
  EXPECT_TRUE(count(votes).disagree());
  EXPECT_EQ(count(votes).unhealthy, 2);
}

// As many ranks as once carried over from one field of a packed number into the next.
TEST(StepVotes, ManyRanksStayApart) {
  constexpr int kRanks = 1 << 16;
  const StepVotes stop = count(std::vector<StepVote>(kRanks, {.stop = true}));
  EXPECT_EQ(stop.stop, kRanks);
  EXPECT_EQ(stop.unhealthy, 0);
  const StepVotes written = count(std::vector<StepVote>(kRanks, {.written = true}));
  EXPECT_TRUE(written.all_written());
  EXPECT_EQ(written.due, 0);
  EXPECT_FALSE(written.stops());
}

}  // namespace
}  // namespace lockstep
