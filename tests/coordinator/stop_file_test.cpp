// The file by which a training is asked to stop.
#include "coordinator/stop_file.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

class StopFile : public ::testing::Test {
 protected:
  fs::path run() const { return folder_.path(); }
  void ask(std::chrono::seconds age) const {
    std::ofstream(stop_file(run())) << "";
    fs::last_write_time(stop_file(run()), fs::file_time_type::clock::now() - age);
  }

  TempFolder folder_;
};

TEST_F(StopFile, IsLookedForNotMoreOftenThanFiveTimesASecond) {
  StopFileWatch watch;
  EXPECT_FALSE(watch.watch(run(), true));
  EXPECT_FALSE(watch.asked(10));
  ask(std::chrono::seconds(0));
  EXPECT_FALSE(watch.asked(10.1));  // it has looked a moment ago
  EXPECT_TRUE(watch.asked(10.3));
  EXPECT_TRUE(take_stop_file(run()));
  EXPECT_TRUE(watch.asked(10.4));  // asked once is asked
  EXPECT_FALSE(take_stop_file(run()));
}

TEST_F(StopFile, OfAnEarlierTrainingIsRemovedAtTheStart) {
  ask(std::chrono::minutes(2));
  StopFileWatch watch;
  EXPECT_TRUE(watch.watch(run(), true));
  EXPECT_FALSE(fs::exists(stop_file(run())));
  EXPECT_FALSE(watch.asked(10));
}

TEST_F(StopFile, AskedDuringALongStepItOutlivesALostRank) {
  ask(std::chrono::minutes(2));
  StopFileWatch watch;
  EXPECT_FALSE(watch.watch(run(), false));
  EXPECT_TRUE(watch.asked(10));
}

TEST_F(StopFile, YoungerThanTheStartOfTheRanksIsMeantForThem) {
  ask(std::chrono::seconds(5));
  StopFileWatch watch;
  EXPECT_FALSE(watch.watch(run(), true));
  EXPECT_TRUE(watch.asked(10));
}

}  // namespace
}  // namespace lockstep
