// schedule.policy = plateau: the program itself, also where it is stopped and goes on.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// Nothing counts as an improvement but the first validation.
const std::string kTrain =
    "train job.cfg --set schedule.policy=plateau --set schedule.patience=2 --set "
    "schedule.gamma=0.5 --set "
    "schedule.threshold=0.99 --set train.epochs=6";

struct Course {
  std::vector<double> rates, losses;  // of every step
};

Course course(const ProgramRoom& room, const std::string& run) {
  Course found;
  std::istringstream lines(room.read("runs/" + run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    if (!json.contains("lr")) continue;
    found.rates.push_back(json["lr"]);
    found.losses.push_back(json["loss"]);
  }
  return found;
}

TEST(TrainCommand, PlateauTheRateFallsAndARunThatGoesOnHasTheSameBits) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  const auto whole = room.run(kTrain);
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;
  EXPECT_TRUE(
      whole.complains("the learning rate falls to 0.05: 2 validations without a better loss than "))
      << whole.errors;
  const Course expected = course(room, "tiny");
  std::vector<double> rates(18, 0.1);
  std::fill(rates.begin() + 9, rates.begin() + 15, 0.05);
  std::fill(rates.begin() + 15, rates.end(), 0.025);
  EXPECT_EQ(expected.rates, rates);

  // Stopped while one validation has been waited for, and in the middle of an epoch, where the last one is not due.
  for (const auto& [step, state] :
       {std::pair{"6", "fallen 0 times; 1 validations since, without a better loss than "},
        {"13", "fallen 1 times; 1 validations since"}}) {
    const auto part = room.run(kTrain + " --set run.name=part --set train.max_steps=" + step);
    ASSERT_EQ(part.exit_code, 0) << part.errors;
    const auto inspected = room.run("inspect runs/part:" + std::string(step));
    EXPECT_TRUE(inspected.says(std::string("plateau: the rate has ") + state))
        << inspected.output << inspected.errors;
  }
  ASSERT_EQ(room.run(kTrain + " --set run.name=part").exit_code, 0);
  const Course found = course(room, "part");
  EXPECT_EQ(found.rates, expected.rates);
  EXPECT_EQ(found.losses, expected.losses);
}

TEST(TrainCommand, PlateauAllRanksAgree) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  const auto two =
      room.run("launch -n 3 --threads 1 " + kTrain +
               " --set train.hash_every=1 --set parallel.coordinator=dedicated"
               " --set data.distribute=scatter --set schedule.plateau_metric=accuracy");
  ASSERT_EQ(two.exit_code, 0) << two.errors;
  EXPECT_EQ(course(room, "tiny").rates.size(), 18u);
  EXPECT_LT(course(room, "tiny").rates.back(), 0.1);
}

}  // namespace
}  // namespace lockstep
