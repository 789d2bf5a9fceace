#include "coordinator/run_record.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/files.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

RunEnvironment environment() {
  return {.hosts = {"a", "a", "b"},
          .threads = {2, 2, 2},
          .mpi_library = "MPI 1",
          .instruction_set = "avx2",
          .activations = "f32",
          .cpu = "a CPU",
          .started = "2024-01-01T00:00:00Z"};
}

const RunStart kStart{.job_text = "[train]\nbatch = 128\nepochs = 2\n",
                      .command_line = "lockstep train a.cfg"};

nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_text_file(path, 1 << 20));
}

TEST(RecordStart, KeepsEveryStart) {
  const TempFolder temporary;
  const std::filesystem::path folder(temporary.path());
  record_start(folder, kStart, environment());
  RunStart second = kStart;
  second.command_line = "lockstep train a.cfg --set train.batch=128";
  record_start(folder, second, environment());
  EXPECT_EQ(read_text_file(folder / "job.cfg", 1000), kStart.job_text);
  EXPECT_FALSE(std::filesystem::exists(folder / "job-1.cfg"));
  const auto starts = read_json(folder / "environment.json");
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_EQ(starts[0]["command_line"], kStart.command_line);
  EXPECT_EQ(starts[1]["command_line"], second.command_line);
  EXPECT_EQ(starts[0]["ranks"], 3);
  EXPECT_EQ(starts[0]["threads"], 2);
  EXPECT_EQ(starts[0]["hosts"], (nlohmann::json{{"a", 2}, {"b", 1}}));
  for (const char* name : {"lockstep", "mpi", "onednn", "hdf5", "compiler", "cpu", "started"})
    EXPECT_NE(starts[0][name], "") << name;
}

TEST(RecordStart, KeepsTheJobBefore) {
  const TempFolder temporary;
  const std::filesystem::path folder(temporary.path());
  for (const char* job : {"first\n", "second\n", "third\n"})
    record_start(folder, {.job_text = job, .command_line = ""}, environment());
  EXPECT_EQ(read_text_file(folder / "job.cfg", 1000), "third\n");
  EXPECT_EQ(read_text_file(folder / "job-1.cfg", 1000), "first\n");
  EXPECT_EQ(read_text_file(folder / "job-2.cfg", 1000), "second\n");
}

TEST(RecordStart, SetsAsideWhatItDoesNotUnderstand) {
  const TempFolder temporary;
  const std::filesystem::path folder(temporary.path());
  std::ofstream(folder / "environment.json") << "[{\"torn";
  record_start(folder, kStart, environment());
  EXPECT_EQ(read_json(folder / "environment.json").size(), 1u);
  EXPECT_EQ(read_text_file(folder / "environment-1.json", 1000), "[{\"torn");
}

TEST(ChangesSince, NothingChanged) {
  const std::string details = checkpoint_details(kStart, environment());
  EXPECT_TRUE(changes_since(details, details).empty());
  EXPECT_TRUE(changes_since("{}", details).empty());
  EXPECT_TRUE(changes_since("not json", details).empty());
}

TEST(ChangesSince, NamesGridInstructionSetAndKeys) {
  RunStart start = kStart;
  start.job_text = "[train]\nbatch = 64\nepochs = 2\n";
  RunEnvironment now = environment();
  now.threads = {2, 2};
  now.instruction_set = "avx512_core";
  now.activations = "bf16";
  const auto changes =
      changes_since(checkpoint_details(kStart, environment()), checkpoint_details(start, now));
  const std::string end = ": not bit-equal to a training without interruption";
  EXPECT_EQ(changes,
            (std::vector<std::string>{"the job has train.batch = 64 now; it was 128",
                                      "2 ranks x 2 threads now, 3 ranks x 2 threads before" + end,
                                      "instruction_set avx512_core now, avx2 before" + end,
                                      "activations bf16 now, f32 before" + end}));
}

TEST(ChangesSince, StagesKeepTheBitsOfF32) {
  const auto details = [](int ranks, int stages, const std::string& activations) {
    RunEnvironment environment = lockstep::environment();
    environment.threads.assign(static_cast<std::size_t>(ranks), 2);
    environment.activations = activations;
    const RunStart start{.job_text = "[parallel]\nstages = " + std::to_string(stages) + "\n",
                         .command_line = ""};
    return checkpoint_details(start, environment);
  };
  const std::string stages = "the job has parallel.stages = 2 now; it was 1";
  const std::string grid = "4 ranks in 2 stages x 2 threads now, 2 ranks x 2 threads before";
  const std::string end = ": not bit-equal to a training without interruption";
  EXPECT_EQ(changes_since(details(2, 1, "f32"), details(4, 2, "f32")), (std::vector{stages, grid}));
  EXPECT_EQ(changes_since(details(2, 1, "bf16"), details(4, 2, "bf16")),
            (std::vector{stages, grid + end}));
  EXPECT_EQ(changes_since(details(4, 1, "f32"), details(4, 2, "f32")).back(),
            "4 ranks in 2 stages x 2 threads now, 4 ranks x 2 threads before" + end);
}

TEST(SeedChange, SaysWhichCounts) {
  EXPECT_EQ(seed_change({.step = 5, .seed = 1}, 1), "");
  const std::string between = seed_change({.step = 5, .seed = 1}, 2);
  EXPECT_EQ(
      between,
      "run.seed = 2 counts from step 5 on, for the order of samples, augmentation and dropout; the "
      "weights began with 1");
  EXPECT_EQ(seed_change({.step = 5, .cursor = 3, .seed = 1}, 2).find(between + "; in what is left"),
            0u);
}

TEST(CheckpointDetails, TellWhereARunBeganAndItsCurve) {
  RunEnvironment from = environment();
  EXPECT_EQ(started_from(checkpoint_details(kStart, from)), "");
  from.started_from = "runs/a/checkpoints/step-00000006";
  EXPECT_EQ(started_from(checkpoint_details(kStart, from)), from.started_from);
  EXPECT_EQ(started_from("torn"), "");
  EXPECT_EQ(curve_epochs(checkpoint_details(kStart, from)), 2);
  const RunStart curve{.job_text = "[train]\nepochs = 4\n[schedule]\nepochs = 2\n",
                       .command_line = ""};
  EXPECT_EQ(curve_epochs(checkpoint_details(curve, from)), 2);
  EXPECT_EQ(curve_epochs("{}"), 0);
}

}  // namespace
}  // namespace lockstep
