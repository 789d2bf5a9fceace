// Training that is really killed, and resumed: the program as users run it, on two ranks.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <random>
#include <thread>

#include "data/checkpoint.h"
#include "tests/jobs/runs/training_room.h"

namespace lockstep::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSteps = 24;  // 6 an epoch

class Resume : public ::testing::Test {
 protected:
  fs::path log(const std::string& runs) const { return room_.log(runs); }
  fs::path run(const std::string& runs) const { return room_.run(runs); }
  auto metrics(const std::string& runs) const { return room_.metrics(runs); }
  auto weights(const std::string& runs) const { return room_.tensors(runs, kSteps); }

  void train(const std::string& runs, int ranks, const std::vector<std::string>& sets = {}) {
    Process process(room_.command(runs, ranks, sets), log(runs));
    ASSERT_EQ(process.wait(), 0) << file_text(log(runs));
  }

  /// Kills the launcher and all ranks when `lines` lines of metrics are there, or at the end.
  void train_and_kill(const std::string& runs, int ranks, std::size_t lines,
                      const std::vector<std::string>& sets = {}) {
    Process process(room_.command(runs, ranks, sets), log(runs));
    while (process.running() && metrics(runs).size() < lines)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.kill_all();
  }

  TrainingRoom room_;
};

TEST_F(Resume, KilledRunsEndWithTheBitsOfAnUninterruptedOne) {
  train("whole", 2);
  std::mt19937 random(20261121);
  for (int kill = 0; kill < 4; ++kill) train_and_kill("killed", 2, 2 + random() % (kSteps + 2));
  train("killed", 2);
  EXPECT_EQ(metrics("whole"), metrics("killed")) << file_text(log("killed"));
  EXPECT_EQ(weights("whole"), weights("killed"));
}

TEST_F(Resume, KilledRunsOfAdamWEndWithTheBitsOfAnUninterruptedOne) {
  const std::vector<std::string> sets{"optimizer.name=adamw", "optimizer.learning_rate=0.002"};
  train("whole", 2, sets);
  for (const std::size_t lines : {4, 11}) train_and_kill("killed", 2, lines, sets);
  train("killed", 2, sets);
  EXPECT_EQ(metrics("whole"), metrics("killed")) << file_text(log("killed"));
  EXPECT_EQ(weights("whole"), weights("killed"));
}

TEST_F(Resume, AnotherNumberOfRanksGoesOnWithinRounding) {
  train("two", 2, {"train.max_steps=10", "model.dropout=0", "optimizer.learning_rate=0.001"});
  fs::copy(room_.path() / "two", room_.path() / "three", fs::copy_options::recursive);
  // 20 more steps, on both.
  for (const auto& [runs, ranks] : {std::pair("two", 2), std::pair("three", 3)})
    train(runs, ranks, {"train.epochs=5", "model.dropout=0", "optimizer.learning_rate=0.001"});
  const auto two = metrics("two"), three = metrics("three");
  ASSERT_EQ(two.size(), three.size());
  for (std::size_t i = 0; i < two.size(); ++i) {
    EXPECT_EQ(two[i]["step"], three[i]["step"]);
    if (!two[i].contains("loss")) continue;
    EXPECT_EQ(two[i]["samples"], three[i]["samples"]);
    EXPECT_NEAR(two[i]["loss"].get<double>(), three[i]["loss"].get<double>(), 1e-3) << "line " << i;
  }
}

TEST_F(Resume, ADamagedCheckpointIsNamedAndTheOneBeforeIsUsed) {
  train("whole", 2);
  train("damaged", 2, {"train.max_steps=12"});
  const fs::path newest = run("damaged") / "checkpoints" / checkpoint_name(12) / "shard-001.h5";
  fs::resize_file(newest, fs::file_size(newest) / 2);
  train("damaged", 2);
  EXPECT_EQ(metrics("whole"), metrics("damaged"));
  EXPECT_EQ(weights("whole"), weights("damaged"));
  const std::string said = file_text(log("damaged"));
  EXPECT_NE(said.find("shard-001.h5"), std::string::npos) << said;
  EXPECT_NE(said.find("resuming from"), std::string::npos) << said;
}

TEST_F(Resume, ASignalSavesAndAsksToBeRequeued) {
  {
    Process process(room_.command("stopped", 2), log("stopped"));
    while (process.running() && metrics("stopped").size() < 5)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.signal_ranks(SIGUSR1);
    const int code = process.wait();
    ASSERT_TRUE(code == 75 || metrics("stopped").size() >= kSteps)
        << code << file_text(log("stopped"));
  }
  train("stopped", 2);
  train("whole", 2);
  EXPECT_EQ(metrics("whole"), metrics("stopped"));
  EXPECT_EQ(weights("whole"), weights("stopped"));
}

TEST_F(Resume, ScatteredSamplesAndADedicatedCoordinatorChangeNothing) {
  train("shared", 2);
  train("scattered", 2, {"data.distribute=scatter"});
  train("dedicated", 3, {"data.distribute=scatter", "parallel.coordinator=dedicated"});
  for (const char* other : {"scattered", "dedicated"}) {
    EXPECT_EQ(metrics("shared"), metrics(other)) << other;
    EXPECT_EQ(weights("shared"), weights(other)) << other;
  }
}

// With three ranks a ring adds in another order than shared memory: the bits tell which was used.
TEST_F(Resume, TheAllReduceTableThatARunBeganWithStays) {
  const fs::path table = room_.path() / "table";
  const std::vector<std::string> sets{"parallel.all_reduce_table=" + table.string()};
  std::ofstream(table) << "3 1 gradients max ring\n";
  train("plain", 3);
  train("whole", 3, sets);
  EXPECT_NE(weights("plain"), weights("whole"));
  std::vector<std::string> half = sets;
  half.push_back("train.max_steps=12");
  train("resumed", 3, half);
  std::ofstream(table) << "3 1 gradients max shared\n";
  train("resumed", 3, sets);
  EXPECT_EQ(weights("whole"), weights("resumed"));
  EXPECT_NE(file_text(log("resumed")).find("goes on with the table that it began with"),
            std::string::npos);
  train("new", 3, sets);  // shared memory is what is taken without a table
  EXPECT_EQ(weights("plain"), weights("new"));
}

TEST_F(Resume, EarlyStoppingEndsAResumedRunWhereItEndsAWholeOne) {
  // A rate of almost nothing: the first validation stays the best.
  const std::vector<std::string> sets{"optimizer.learning_rate=1e-12", "train.early_stopping=2",
                                      "model.norm=group", "model.norm_groups=4"};
  train("whole", 2, sets);
  EXPECT_EQ(metrics("whole").back()["step"], 18);
  train_and_kill("again", 2, 16, sets);
  train("again", 2, sets);
  EXPECT_EQ(metrics("whole"), metrics("again"));
}

TEST_F(Resume, ASecondJobInTheSameDirectoryIsRefused) {
  Process first(room_.command("same", 1, {"train.epochs=10000"}), log("same"));
  while (first.running() && metrics("same").empty())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  Process second(room_.command("same", 1), log("second"));
  EXPECT_EQ(second.wait(), 64);
  EXPECT_NE(file_text(log("second")).find("another job trains here: process "), std::string::npos)
      << file_text(log("second"));
  EXPECT_TRUE(first.running()) << file_text(log("same"));
}

TEST_F(Resume, AnotherModelsCheckpointIsRefused) {
  train("small", 1, {"train.max_steps=3"});
  Process process(room_.command("small", 1, {"model.depth=14"}), log("small"));
  EXPECT_EQ(process.wait(), 65) << file_text(log("small"));
  EXPECT_NE(file_text(log("small")).find("another model"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::test
