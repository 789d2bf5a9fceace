#include "coordinator/recovery.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(RanksToTrain, AsManyAsBeforeWhereThereAreEnough) {
  EXPECT_EQ(ranks_to_train(3, 4, 1, 0), 3);  // 4 trained, one is lost
  EXPECT_EQ(ranks_to_train(4, 4, 1, 0), 4);  // a spare takes its place
  EXPECT_EQ(ranks_to_train(5, 4, 1, 0), 4);  // and one still waits
  EXPECT_EQ(ranks_to_train(1, 4, 1, 0), 1);
}

TEST(RanksToTrain, WholeReplicasOfStages) {
  EXPECT_EQ(ranks_to_train(3, 4, 2, 0), 2);  // the third waits
  EXPECT_EQ(ranks_to_train(5, 6, 3, 0), 3);
  EXPECT_EQ(ranks_to_train(1, 4, 2, 0), std::nullopt);
}

TEST(RanksToTrain, ACoordinatorIsNoWorker) {
  EXPECT_EQ(ranks_to_train(4, 5, 2, 1), 3);
  EXPECT_EQ(ranks_to_train(2, 5, 1, 1), 2);
  EXPECT_EQ(ranks_to_train(1, 5, 1, 1), std::nullopt);
  EXPECT_EQ(ranks_to_train(2, 5, 2, 1), std::nullopt);
}

TEST(NewestState, TheLowestRankThatIsFarthest) {
  EXPECT_EQ(newest_state(std::vector<StateOffer>{{.step = 7}, {.step = 8}, {.step = 8}}), 1);
  EXPECT_EQ(newest_state(std::vector<StateOffer>{{.step = 7}, {.step = 7}}), 0);
  EXPECT_EQ(newest_state(std::vector<StateOffer>{{.step = -1, .reached = 9}, {.step = 0}}), 1);
}

TEST(NewestState, WhoHasValidatedIsFarther) {
  EXPECT_EQ(newest_state(std::vector<StateOffer>{{.step = 8}, {.step = 8, .finished = true}}), 1);
  EXPECT_EQ(newest_state(std::vector<StateOffer>{{.step = 9}, {.step = 8, .finished = true}}), 0);
}

TEST(NewestState, NobodyHasOne) {
  EXPECT_EQ(newest_state(std::vector<StateOffer>{{.reached = 3}, {}}), -1);
  EXPECT_EQ(newest_state({}), -1);
}

}  // namespace
}  // namespace lockstep
