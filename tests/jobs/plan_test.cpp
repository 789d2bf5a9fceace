#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

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
  const auto one = room.run("plan job.cfg --threads 1");
  ASSERT_EQ(one.exit_code, 0) << one.errors;
  EXPECT_TRUE(one.says("model custom [N,3,8,8] -> 4 classes"));
  EXPECT_TRUE(one.says("group2.block0"));
  EXPECT_FALSE(one.says("group2.block0.conv1  conv"));
  EXPECT_TRUE(one.says("ranks 1 x 1 threads, up to 16 images a rank and step, 3 steps an epoch"));
  EXPECT_GT(bytes_of(one.output, "total"), bytes_of(one.output, "model state"));
  EXPECT_FALSE(one.says("sent by a rank"));
  EXPECT_FALSE(one.says("phase    "));
}

TEST_F(PlanCommand, BeginsWithTheVerdict) {
  const auto told = room.run("plan job.cfg --ranks 4 --nodes 2 --set parallel.probe=off");
  ASSERT_EQ(told.exit_code, 0) << told.errors;
  EXPECT_TRUE(std::regex_search(
      told.output, std::regex("^fits          [0-9.]+ MiB a rank \\(with 64.0 MiB for the program "
                              "and MPI\\), [0-9.]+ MiB the 2 ranks of a "
                              "machine, of [0-9.]+ [GT]iB\n"
                              "a step        [0-9.]+ m?s, estimated from FLOPs and bytes, messages "
                              "between nodes aside\n"
                              "the job       6 steps and validations: [0-9.]+ m?s\n\n")))
      << told.output;
}

// As train does: sums go by the measured table, so their memory does.
TEST_F(PlanCommand, GoesByTheTableOfAllReduces) {
  room.write("sums.table", "2 1 gradients max halving-doubling\n");
  const std::string two = "plan job.cfg --ranks 2 --threads 1 --set parallel.probe=off";
  const auto usual = room.run(two),
             measured = room.run(two + " --set parallel.all_reduce_table=sums.table");
  ASSERT_EQ(measured.exit_code, 0) << measured.errors;
  EXPECT_NE(bytes_of(usual.output, "segments of gradients"),
            bytes_of(measured.output, "segments of gradients"));
  EXPECT_EQ(room.run(two + " --set parallel.all_reduce_table=none.table").exit_code, 66);
}

TEST_F(PlanCommand, SaysWhatItsTimesAssume) {
  const std::string words = "times assume 4 GB/s between ranks, an update at 10 GB/s";
  EXPECT_TRUE(room.run("plan job.cfg --threads 1").says(words + "\n"));
  EXPECT_TRUE(room.run("plan job.cfg --threads 1 --set parallel.probe=off")
                  .says(words + ", ops at 100 GFLOP/s and 20 GB/s a rank\n"));
}

TEST_F(PlanCommand, WarnsOfMoreThreadsThanCpus) {
  const std::string job = "plan job.cfg --set parallel.probe=off --threads ";
  const unsigned cpus = std::thread::hardware_concurrency();  // of this process, by its mask
  EXPECT_FALSE(room.run(job + "1").complains("slow"));
  const auto crowded = room.run(job + std::to_string(cpus + 1));
  EXPECT_EQ(crowded.exit_code, 0) << crowded.errors;
  EXPECT_TRUE(crowded.complains("on a machine like this one 1 rank has " + std::to_string(cpus)))
      << crowded.errors;
}

// As launch: both go by the cores of this machine.
TEST_F(PlanCommand, TakesTheThreadsOfLaunch) {
  for (const char* ranks : {"1", "2"}) {
    const std::string of = std::string(" -n ") + ranks;
    const auto launch = room.run("launch" + of + " --dry-run train job.cfg");
    std::smatch threads;
    ASSERT_TRUE(std::regex_search(launch.output, threads, std::regex("OMP_NUM_THREADS=([0-9]+)")))
        << launch.output;
    EXPECT_TRUE(room.run("plan job.cfg --set parallel.threads=0" + of)
                    .says("\nranks " + std::string(ranks) + " x " + threads[1].str() + " threads"));
  }
}

TEST_F(PlanCommand, PrintsJson) {
  const std::string words = "plan job.cfg --ranks 2 --threads 1 --set parallel.probe=off";
  const auto json = nlohmann::json::parse(room.run(words + " --json").output);
  EXPECT_EQ(json["fits"], true);
  EXPECT_EQ(json["steps"], 6);
  EXPECT_EQ(json["replicas"], 2);
  EXPECT_EQ(json["stages"][0]["bytes"], bytes_of(room.run(words).output, "total"));
  std::size_t sum = 0;
  for (const auto& group : json["stages"][0]["memory"]) sum += group["bytes"].get<std::size_t>();
  EXPECT_EQ(json["stages"][0]["bytes"], sum);
  const auto staged = nlohmann::json::parse(
      room.run(words + " --json --set parallel.stages=2 --set train.micro_batches=4").output);
  EXPECT_EQ(staged["stages"].size(), 2u);
  EXPECT_GT(staged["stages"][0]["traffic_of_a_step"]["stage_bytes_sent"], 0);
  EXPECT_EQ(room.run(words + " --json --ops").exit_code, 64);
}

TEST_F(PlanCommand, MoreRanksHoldLessEach) {
  const auto one = room.run("plan job.cfg"), four = room.run("plan job.cfg --ranks 4 --threads 1");
  EXPECT_LT(bytes_of(four.output, "activations"), bytes_of(one.output, "activations"));
  EXPECT_EQ(bytes_of(four.output, "parameters"), bytes_of(one.output, "parameters"));
  const std::size_t gradients = bytes_of(four.output, "gradients, in 1 bucket");
  EXPECT_EQ(bytes_of(four.output, R"(sent by a rank alone on its node: gradients, 2\(P-1\)/P)"),
            gradients * 3 / 2);
}

TEST_F(PlanCommand, StagesShareTheModel) {
  const auto result = room.run(
      "plan job.cfg --ranks 2 --threads 1 --set parallel.stages=2 --set parallel.probe=off --set "
      "train.micro_batches=4 "
      "--set parallel.cuts=group2.block0");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.says(
      "grid 1 replicas x 2 stages, 1 threads a rank, up to 4 images in each of 4 micro-batches"));
  EXPECT_TRUE(result.says("0  stem to group1.block0"));
  EXPECT_TRUE(result.says("1  group2.block0 to loss"));
  EXPECT_TRUE(result.says("estimated from FLOPs and bytes; bubble "));
  const auto three = room.run("plan job.cfg --ranks 3 --set parallel.stages=2");
  EXPECT_EQ(three.exit_code, 64);
  EXPECT_TRUE(three.complains("does not divide 3 workers")) << three.errors;
}

TEST_F(PlanCommand, AutoComparesGrids) {
  const auto roomy =
      room.run("plan job.cfg --ranks 2 --auto --set parallel.probe=off --set train.sync_bn=off");
  ASSERT_EQ(roomy.exit_code, 0) << roomy.errors;
  EXPECT_TRUE(std::regex_search(roomy.output, std::regex("\n *2 x 1 .* best\n")));
  EXPECT_TRUE(std::regex_search(roomy.output, std::regex("\n *1 x 2 +zero-bubble .*% slower")));
  EXPECT_TRUE(roomy.says("use  --set parallel.stages=1 --set train.micro_batches=1 "));
  room.write("tight.cfg", std::string(kTinyJob) + "[memory]\nbudget_mib = 1\n");
  const auto tight =
      room.run("plan tight.cfg --ranks 2 --auto --memory-per-rank 100 --set parallel.probe=off");
  EXPECT_EQ(tight.exit_code, 0) << tight.errors;
  EXPECT_TRUE(tight.says("100.0 MiB a rank"));
}

/// More than any machine has: 10^9 images at a time.
constexpr const char* kTooMuch =
    " --set train.batch=200000000 --set data.synthetic_samples=200000000";

TEST_F(PlanCommand, RefusesWhatCannotFitTheMachine) {
  const auto fits = room.run("plan job.cfg --ranks 4 --nodes 2");
  EXPECT_EQ(fits.exit_code, 0) << fits.errors;
  EXPECT_TRUE(fits.says("  on a machine: 2 ranks, together ")) << fits.output;
  const auto refused = room.run(std::string("plan job.cfg --ranks 2") + kTooMuch);
  EXPECT_EQ(refused.exit_code, 64);
  EXPECT_TRUE(refused.says("memory of a rank, bytes"));
  EXPECT_TRUE(refused.complains("error: 2 ranks on one machine need ")) << refused.errors;
  EXPECT_TRUE(refused.complains("memory.recompute = auto fits with train.micro_batches "))
      << refused.errors;
  EXPECT_EQ(
      room.run(std::string(
                   "plan job.cfg --ranks 2 --set parallel.stages=2 --set parallel.probe=off") +
               kTooMuch)
          .exit_code,
      64);
  const auto warned =
      room.run(std::string("plan job.cfg --set memory.on_overcommit=warn") + kTooMuch);
  EXPECT_EQ(warned.exit_code, 0) << warned.errors;
  EXPECT_TRUE(warned.complains("warning: 1 rank on a machine needs ")) << warned.errors;
  const auto own =
      room.run(std::string("plan job.cfg --set memory.budget_mib=1000000000000") + kTooMuch);
  EXPECT_EQ(own.exit_code, 0) << own.errors;
  EXPECT_EQ(own.errors, "");
  EXPECT_EQ(room.run("plan job.cfg --nodes 0").exit_code, 64);
}

TEST_F(PlanCommand, AutoKeepsToAShareOfTheMachine) {
  const auto roomy = room.run("plan job.cfg --ranks 2 --auto --set parallel.probe=off");
  EXPECT_TRUE(roomy.says(" a rank, its share of a machine; times ")) << roomy.output;
  EXPECT_FALSE(roomy.says("budget_mib"));
  const auto warns = room.run(
      "plan job.cfg --ranks 2 --auto --set parallel.probe=off --set memory.on_overcommit=warn");
  EXPECT_FALSE(warns.says(" a rank, its share")) << warns.output;
}

TEST(TrainCommand, RefusesWhatCannotFitTheMachine) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  const auto refused = room.run(std::string("launch -n 2 train job.cfg") + kTooMuch);
  EXPECT_EQ(refused.exit_code, 64);
  EXPECT_TRUE(refused.complains("error: rank 0: 2 ranks on one machine need ")) << refused.errors;
  EXPECT_TRUE(refused.complains("train.micro_batches ")) << refused.errors;
}

TEST(TrainCommand, CountsTheSamplesThatItHoldsAsPlanDoes) {
  ProgramRoom room;
  room.write("job.cfg",
             "[data]\nsource = idx\npath = " LOCKSTEP_SOURCE_DIR
             "/data/fashion-mnist\n[model]\nfamily = mlp\n"
             "counts = 1\nwidths = 8\n[train]\nbatch = 64\nmax_steps = 6\nvalidate_every = 0\n"
             "[parallel]\nthreads = 1\n");
  const auto planned = room.run("plan job.cfg");
  ASSERT_GE(bytes_of(planned.output, "samples held in memory"), 28u * 28 * 10000);
  const auto trained = room.run("train job.cfg");
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  // What is predicted of the run is that, and the program before its memory was asked for: not the samples twice.
  const auto forecast = nlohmann::json::parse(room.read("runs/run/forecast.json"))["memory_bytes"];
  EXPECT_GT(forecast["predicted"], bytes_of(planned.output, "total"));
  EXPECT_LT(forecast["predicted"], forecast["measured"].get<double>() + 28 * 28 * 5000);
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
  const auto bands = room.run("plan cifar.cfg --set data.channels=5");
  EXPECT_EQ(bands.exit_code, 64);
  EXPECT_TRUE(bands.complains("data.channels = 5, but not-here has pictures of 3")) << bands.errors;
  const auto result = room.run("plan cifar.cfg --ranks 2");
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.says("parameters  272,474"));
  EXPECT_TRUE(result.says("391 steps an epoch"));
}

TEST_F(PlanCommand, ADedicatedCoordinatorTakesNoImages) {
  const std::string dedicated = " --set parallel.coordinator=dedicated";
  const auto result = room.run("plan job.cfg --ranks 3 --threads 1" + dedicated);
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
