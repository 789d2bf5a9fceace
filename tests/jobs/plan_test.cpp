#include <gtest/gtest.h>

#include <regex>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// The number of bytes in the line of a table that begins with `name`.
std::size_t bytes_of(const std::string& output, const std::string& name) {
  std::smatch found;
  if (!std::regex_search(output, found, std::regex("\n *" + name + " +([0-9,]+)"))) return 0;
  std::string digits = found[1];
  std::erase(digits, ',');
  return std::stoull(digits);
}

class PlanCommand : public testing::Test {
 protected:
  PlanCommand() { room.write("job.cfg", kTinyJob); }
  ProgramRoom room;
};

TEST_F(PlanCommand, ShowsModelMemoryAndTraffic) {
  const auto one = room.run("plan job.cfg");
  ASSERT_EQ(one.exit_code, 0) << one.errors;
  EXPECT_TRUE(one.says("model custom [N,3,8,8] -> 4 classes"));
  EXPECT_TRUE(one.says("group2.block0"));
  EXPECT_FALSE(one.says("group2.block0.conv1  conv"));
  EXPECT_TRUE(one.says("ranks 1 x 1 threads, up to 16 images a rank and step, 3 steps an epoch"));
  EXPECT_GT(bytes_of(one.output, "total"), bytes_of(one.output, "model state"));
  EXPECT_FALSE(one.says("sent by a rank"));
  EXPECT_FALSE(one.says("phase    "));
}

TEST_F(PlanCommand, MoreRanksHoldLessEach) {
  const auto one = room.run("plan job.cfg"), four = room.run("plan job.cfg --ranks 4");
  EXPECT_LT(bytes_of(four.output, "activations"), bytes_of(one.output, "activations"));
  EXPECT_EQ(bytes_of(four.output, "parameters"), bytes_of(one.output, "parameters"));
  const std::size_t gradients = bytes_of(four.output, "gradients, in 1 bucket");
  EXPECT_EQ(bytes_of(four.output, R"(sent by a rank alone on its node: gradients, 2\(P-1\)/P)"), gradients * 3 / 2);
}

TEST_F(PlanCommand, OpsAndPhases) {
  const auto result = room.run("plan job.cfg --ops --phases --threads 2");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(std::regex_search(result.output, std::regex("\ngroup2.block0.conv1 +conv")));
  EXPECT_TRUE(result.says("phase    level0: lanes, chunks of "));
  EXPECT_TRUE(result.says("ranks 1 x 2 threads"));
}

TEST_F(PlanCommand, CifarNeedsNoFiles) {
  room.write("cifar.cfg", "[data]\nsource = cifar10\npath = not-here\n");
  const auto result = room.run("plan cifar.cfg --ranks 2");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.says("parameters  272,474"));
  EXPECT_TRUE(result.says("391 steps an epoch"));
}

TEST_F(PlanCommand, ADedicatedCoordinatorTakesNoImages) {
  const std::string dedicated = " --set parallel.coordinator=dedicated";
  const auto result = room.run("plan job.cfg --ranks 3" + dedicated);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.says("ranks 2 x 1 threads, up to 8 images"));
  EXPECT_TRUE(result.says("; one more rank coordinates"));
  EXPECT_EQ(room.run("plan job.cfg" + dedicated).exit_code, 64);
}

TEST_F(PlanCommand, SaysWhatIsWrong) {
  const auto no_job = room.run("plan");
  EXPECT_EQ(no_job.exit_code, 64);
  const auto ranks = room.run("plan job.cfg --ranks 0");
  EXPECT_EQ(ranks.exit_code, 64);
  EXPECT_EQ(ranks.errors, "lockstep: error: lockstep plan: --ranks must be at least 1\n");
  const auto missing = room.run("plan other.cfg");
  EXPECT_EQ(missing.exit_code, 66);
  EXPECT_TRUE(missing.complains("other.cfg does not exist"));
  const auto depth = room.run(
      "plan job.cfg --set model.family=resnet --set model.counts= --set "
      "model.widths= --set model.depth=21");
  EXPECT_EQ(depth.exit_code, 64);
  const auto option = room.run("plan job.cfg --phase");
  EXPECT_EQ(option.exit_code, 64);
  EXPECT_TRUE(option.complains("did you mean '--phases'?"));
}

}  // namespace
}  // namespace lockstep
