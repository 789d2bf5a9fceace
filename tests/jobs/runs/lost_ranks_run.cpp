// Ranks of a training kill themselves, and the others go on (parallel.on_rank_lost = shrink): the program as users run it.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/jobs/runs/training_room.h"

namespace lockstep::test {
namespace {

constexpr std::size_t kSteps = 24;  // 6 an epoch

using Words = std::vector<std::string>;

class LostRanks : public ::testing::Test {
 protected:
  /// The log.
  std::string train(const std::string& runs, int ranks, const Words& sets = {},
                    const Words& faults = {}) {
    Words command = room_.command(runs, ranks, sets);
    for (const std::string& fault : faults) command.insert(command.end(), {"--fault", fault});
    if (!faults.empty()) command.insert(command.end(), {"--set", "parallel.on_rank_lost=shrink"});
    Process process(command, room_.log(runs));
    const int code = process.wait();
    const std::string said = file_text(room_.log(runs));
    EXPECT_EQ(code, 0) << said;
    return said;
  }

  /// All that there is to compare: every step once, every validation, and the last weights.
  void expect_same(const std::string& one, const std::string& other, const std::string& said) {
    EXPECT_EQ(room_.metrics(one), room_.metrics(other)) << said;
    EXPECT_EQ(room_.tensors(one, kSteps), room_.tensors(other, kSteps)) << said;
  }

  TrainingRoom room_;
};

bool says(const std::string& log, const std::string& words) {
  return log.find(words) != std::string::npos;
}

TEST_F(LostRanks, TheOthersGoOnAndNoStepIsLost) {
  const Words exact{"model.dropout=0", "model.stochastic_depth=0"};
  const std::string said = train("lost", 3, exact, {"kill:1:10"});
  EXPECT_TRUE(says(said, "lost: rank 1 (")) << said;
  EXPECT_TRUE(says(said, "): 2 workers go on after step 9; no step is lost;")) << said;
  EXPECT_FALSE(says(said, "starting again")) << said;
  train("whole", 3, exact);
  const auto whole = room_.metrics("whole"), lost = room_.metrics("lost");
  ASSERT_EQ(whole.size(), lost.size()) << said;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i]["step"] < 10) {
      EXPECT_EQ(whole[i], lost[i]);
    }
    EXPECT_EQ(whole[i]["step"], lost[i]["step"]);
    EXPECT_EQ(whole[i].contains("val_loss"), lost[i].contains("val_loss"));
    if (!whole[i].contains("loss")) continue;
    EXPECT_EQ(whole[i]["samples"], lost[i]["samples"]);
    EXPECT_NEAR(whole[i]["loss"].get<double>(), lost[i]["loss"].get<double>(), 2e-2)
        << "line " << i;
  }
}

TEST_F(LostRanks, ASpareTakesThePlaceOfRank0) {
  const std::string said = train("spare", 3, {"parallel.spares=1"}, {"kill:0:10"});
  EXPECT_TRUE(says(said, "lost: rank 0 (") &&
              says(said, "): 2 workers go on after step 9; no step is lost;"))
      << said;
  train("whole", 2);
  expect_same("whole", "spare", said);
}

TEST_F(LostRanks, AnotherDiesWhileTheyRecover) {
  const std::string said = train("again", 5, {"parallel.spares=2"}, {"kill:1:13", "again:0:1"});
  EXPECT_TRUE(says(said, "kills itself, too")) << said;
  EXPECT_TRUE(says(said, "without rank 1 (") && says(said, ", rank 0 (")) << said;
  EXPECT_TRUE(says(said, "): 3 workers go on after step 12; no step is lost;")) << said;
  train("whole", 3);
  expect_same("whole", "again", said);
}

TEST_F(LostRanks, ACoordinatorThatScattersSamples) {
  const Words sets{"parallel.spares=1", "parallel.coordinator=dedicated",
                   "data.distribute=scatter"};
  const std::string said = train("coordinator", 4, sets, {"kill:0:7"});
  EXPECT_TRUE(says(said, "): 2 workers go on after step ") && says(said, "; no step is lost;"))
      << said;
  train("whole", 2);
  expect_same("whole", "coordinator", said);
}

/// It is not dead, so nobody can go on without it: the watchdogs end the others, and the launcher begins again.
TEST_F(LostRanks, AStoppedOneIsARestart) {
  const std::string said =
      train("stopped", 2, {"watchdog.collective_s=1", "watchdog.step_s=2"}, {"stop:1:10"});
  EXPECT_TRUE(says(said, "stops itself") && says(said, "starting again")) << said;
  train("whole", 2);
  expect_same("whole", "stopped", said);
}

TEST_F(LostRanks, StagesGoOnFromTheNewestCheckpoint) {
  const Words stages{"parallel.stages=2", "train.micro_batches=2", "parallel.probe=false"};
  Words spare = stages;
  spare.push_back("parallel.spares=1");
  const std::string said = train("spare", 3, spare, {"kill:1:12"});
  EXPECT_TRUE(says(said, "): 2 workers go on after step ") && says(said, " steps are done again;"))
      << said;
  train("whole", 2, stages);
  expect_same("whole", "spare", said);
  // Without a spare the rest is too few: the launcher starts again.
  const std::string alone = train("alone", 2, stages, {"kill:1:12"});
  EXPECT_TRUE(says(alone, "1 ranks are left, too few for parallel.stages = 2")) << alone;
  EXPECT_TRUE(says(alone, "starting again")) << alone;
  expect_same("whole", "alone", alone);
}

}  // namespace
}  // namespace lockstep::test
