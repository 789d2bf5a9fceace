// Sick trainings: the program itself, with a fault that it injects into its own steps.
#include <gtest/gtest.h>

#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/checkpoint.h"
#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

using Json = nlohmann::json;

/// The tiny job: 6 steps, a checkpoint after each.
class HealthCommand : public testing::Test {
 protected:
  void SetUp() override { room_.write("job.cfg", kTinyJob); }

  ProgramResult train(const std::string& name, const std::string& settings,
                      const std::string& fault = "", int ranks = 1) const {
    std::string words =
        ranks > 1 ? "launch -n " + std::to_string(ranks) + " --max-failures 0 " : "";
    words +=
        "train job.cfg --set checkpoint.every_steps=1 --set checkpoint.keep=9 --set "
        "train.validate_every=0 "
        "--set run.name=" +
        name;
    std::istringstream list(settings);
    for (std::string setting; list >> setting;) words += " --set " + setting;
    return room_.run(words + (fault.empty() ? "" : " --fault " + fault));
  }

  /// By step: the line without times.
  std::map<int, Json> steps(const std::string& name) const {
    std::map<int, Json> lines;
    std::istringstream text(room_.read("runs/" + name + "/metrics.jsonl"));
    for (std::string line; std::getline(text, line);) {
      const Json json = Json::parse(line);
      if (!json.contains("loss")) continue;
      Json kept;
      for (const char* key : {"loss", "grad_norm", "accuracy", "held"})
        if (json.contains(key)) kept[key] = json[key];
      lines[json["step"]] = kept;
    }
    return lines;
  }

  std::filesystem::path checkpoint(const std::string& name, std::int64_t step) const {
    return room_.directory() / "runs" / name / "checkpoints" / checkpoint_name(step);
  }
  std::map<std::string, std::vector<float>> tensors(const std::string& name,
                                                    std::int64_t step) const {
    const Checkpoint saved = Checkpoint::open(checkpoint(name, step));
    std::map<std::string, std::vector<float>> tensors;
    for (const std::string& tensor : saved.names()) {
      std::size_t count = 1;
      for (std::int64_t d : saved.dims(tensor)) count *= static_cast<std::size_t>(d);
      saved.read(tensor, tensors.try_emplace(tensor, count).first->second);
    }
    return tensors;
  }

  ProgramRoom room_;
};

TEST_F(HealthCommand, StopKeepsWhatWasGoodAndGoesOnFromThere) {
  ASSERT_EQ(train("well", "").exit_code, 0);
  const ProgramResult sick = train("sick", "", "nan:0:4");
  EXPECT_EQ(sick.exit_code, 77) << sick.errors;
  EXPECT_TRUE(sick.complains("step 4: the loss is nan")) << sick.errors;
  EXPECT_TRUE(sick.complains("gradients are not finite, from ")) << sick.errors;
  EXPECT_TRUE(std::filesystem::exists(checkpoint("sick", 3)));
  EXPECT_FALSE(std::filesystem::exists(checkpoint("sick", 4)));
  EXPECT_EQ(steps("sick").at(4)["loss"], "nan");
  ASSERT_EQ(train("sick", "").exit_code, 0);
  EXPECT_EQ(steps("sick"), steps("well"));
}

// A gate that is drawn 0 makes gradients of exactly 0, and so does gamma = 0 at the start.
TEST_F(HealthCommand, WhatIsSwitchedOffIsNotIll) {
  const std::string strict = "health.every_steps=1 health.on_vanishing=stop health.on_dead=stop ";
  for (const char* switched_off : {"model.conditional_skip=0.9", "model.last_gamma=0",
                                   "model.stochastic_depth=0.99", "model.learned_skip=0.9"}) {
    const ProgramResult well = train("well", strict + switched_off + " run.resume=off");
    EXPECT_EQ(well.exit_code, 0) << switched_off << ": " << well.errors;
    EXPECT_FALSE(well.complains("vanishes")) << well.errors;
    EXPECT_FALSE(well.complains("are dead")) << well.errors;
  }
}

TEST_F(HealthCommand, RollBackEndsAsIfNothingHadBeen) {
  const std::string ranks = "data.distribute=scatter parallel.coordinator=dedicated ";
  ASSERT_EQ(train("well", ranks, "", 3).exit_code, 0);
  const ProgramResult sick =
      train("sick", ranks + "health.on_nan=rollback checkpoint.every_steps=2", "nan:2:4", 3);
  EXPECT_EQ(sick.exit_code, 0) << sick.errors;
  EXPECT_TRUE(sick.complains("rolled back from step 4 to 2")) << sick.errors;
  EXPECT_TRUE(sick.complains("lost: 2 steps after step 2")) << sick.errors;
  EXPECT_EQ(steps("sick"), steps("well"));
  EXPECT_EQ(tensors("sick", 6), tensors("well", 6));
}

TEST_F(HealthCommand, RollBackToTheBeginningAndNoFurther) {
  const ProgramResult sick = train("sick",
                                   "health.on_nan=rollback health.most_rollbacks=1 "
                                   "optimizer.learning_rate=1e30 checkpoint.every_steps=9");
  EXPECT_EQ(sick.exit_code, 77) << sick.errors;
  EXPECT_TRUE(sick.complains("to 0")) << sick.errors;
  EXPECT_TRUE(sick.complains("it came again after 1 roll-backs")) << sick.errors;
}

TEST_F(HealthCommand, AnExplosionAtTheStartIsNamedAndRolledBackToTheBeginning) {
  const ProgramResult sick =
      train("sick",
            "health.on_spike=rollback health.most_rollbacks=1 optimizer.learning_rate=1e4 "
            "checkpoint.every_steps=9");
  EXPECT_EQ(sick.exit_code, 77) << sick.errors;
  EXPECT_TRUE(sick.complains("step 2: the gradient's norm ")) << sick.errors;
  EXPECT_TRUE(sick.complains(" times the median of the step before")) << sick.errors;
  EXPECT_TRUE(sick.complains("rolled back from step 2 to 0")) << sick.errors;
  EXPECT_TRUE(sick.complains("it came again after 1 roll-backs")) << sick.errors;
}

TEST_F(HealthCommand, ASpikeThatIsNotFiniteGoesBackToTheBeginning) {
  ASSERT_EQ(train("well", "").exit_code, 0);
  const ProgramResult sick =
      train("sick", "health.on_spike=rollback checkpoint.every_steps=9", "nan:0:2");
  EXPECT_EQ(sick.exit_code, 0) << sick.errors;
  EXPECT_TRUE(sick.complains("rolled back from step 2 to 0")) << sick.errors;
  EXPECT_EQ(steps("sick"), steps("well"));
  EXPECT_EQ(tensors("sick", 6), tensors("well", 6));
}

TEST_F(HealthCommand, SkipLeavesNoTrace) {
  const ProgramResult sick = train("sick", "health.on_nan=skip", "nan:1:3", 2);
  EXPECT_EQ(sick.exit_code, 0) << sick.errors;
  EXPECT_TRUE(sick.complains("the step is skipped")) << sick.errors;
  const auto lines = steps("sick");
  EXPECT_EQ(lines.at(3)["held"], true);
  EXPECT_FALSE(lines.at(2).contains("held"));
  EXPECT_TRUE(lines.at(6)["loss"].is_number());
  EXPECT_EQ(tensors("sick", 3), tensors("sick", 2));  // parameters, momentum, statistics
  EXPECT_NE(tensors("sick", 4), tensors("sick", 3));
}

TEST_F(HealthCommand, IgnoredItTrainsOnButSavesNothing) {
  const ProgramResult sick = train("sick", "health.on_nan=ignore", "nan:0:3");
  EXPECT_EQ(sick.exit_code, 77) << sick.errors;
  EXPECT_TRUE(sick.complains("checkpoint of step 3 not saved: ")) << sick.errors;
  EXPECT_TRUE(sick.complains("holds values that are not finite numbers")) << sick.errors;
  EXPECT_EQ(steps("sick").size(), 6u);
  EXPECT_EQ(list_checkpoints(checkpoint("sick", 1).parent_path()),
            (std::vector<std::int64_t>{1, 2}));
}

TEST_F(HealthCommand, SpikesAreSkippedAlikeAfterAResume) {
  const std::string often =
      "train.epochs=8 optimizer.learning_rate=0.3 health.on_spike=skip health.spike_factor=1.1 "
      "health.most_skips=99 "
      "checkpoint.every_steps=19";
  ASSERT_EQ(train("whole", often).exit_code, 0);
  const auto whole = steps("whole");
  EXPECT_GT(
      std::ranges::count_if(whole, [](const auto& step) { return step.second.contains("held"); }),
      0);
  ASSERT_EQ(train("parts", often + " train.max_steps=19").exit_code, 0);
  ASSERT_EQ(train("parts", often).exit_code, 0);
  EXPECT_EQ(steps("parts"), whole);
}

TEST_F(HealthCommand, AFlippedBitIsFoundWithLayerAndRank) {
  const ProgramResult sick = train("sick", "train.hash_every=4", "flip:2:2", 3);
  EXPECT_EQ(sick.exit_code, 76) << sick.errors;
  EXPECT_TRUE(sick.complains("step 2: the parameters of replicas differ, first in "))
      << sick.errors;
  EXPECT_TRUE(sick.complains("tensor: rank 2. ")) << sick.errors;
  // before each save it is looked for
  EXPECT_FALSE(std::filesystem::exists(checkpoint("sick", 2)));
}

TEST_F(HealthCommand, ASlowRankIsNamed) {
  const ProgramResult slow =
      train("slow", "health.every_steps=2 train.epochs=6 checkpoint.every_steps=0", "slow:1:2", 2);
  EXPECT_EQ(slow.exit_code, 0) << slow.errors;
  EXPECT_TRUE(slow.complains("the others wait for rank 1: it came last to ")) << slow.errors;
  EXPECT_FALSE(slow.complains("wait for rank 0")) << slow.errors;
  std::istringstream lines(room_.read("runs/slow/waits.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(Json::parse(line)["ranks"].size(), 2u) << line;
}

TEST_F(HealthCommand, CheckpointsByTheClock) {
  const auto saved = [&](const std::string& name) {
    return list_checkpoints(checkpoint(name, 1).parent_path());
  };
  const ProgramResult often = train(
      "often", "checkpoint.every_steps=0 checkpoint.mean_time_to_failure_s=0.001 train.epochs=100");
  EXPECT_EQ(often.exit_code, 0) << often.errors;
  EXPECT_TRUE(often.complains(" from now on: one costs ")) << often.errors;
  EXPECT_GE(saved("often").size(), 3u);
  setenv("SLURM_JOB_END_TIME", std::to_string(std::time(nullptr) + 20).c_str(), 1);
  EXPECT_EQ(train("limited", "checkpoint.every_steps=5").exit_code, 0);
  unsetenv("SLURM_JOB_END_TIME");
  EXPECT_EQ(saved("limited"), (std::vector<std::int64_t>{1, 5, 6}));
}

TEST_F(HealthCommand, LayersThatGetNoGradientAreTold) {
  // Not 0, which is well, but so small that what is multiplied by it is.
  const std::string dead =
      "model.last_gamma=1.2e-38 optimizer.learning_rate=1e-40 health.every_steps=2 "
      "checkpoint.every_steps=9 ";
  const ProgramResult told = train("told", dead);
  EXPECT_EQ(told.exit_code, 0) << told.errors;
  EXPECT_TRUE(told.complains("step 2: group1.block0.conv1: its gradient vanishes")) << told.errors;
  EXPECT_TRUE(told.complains("step 4: group1.block0.norm1: 16 of 16 channels are dead"))
      << told.errors;
  const ProgramResult stopped = train("stopped", dead + "health.on_dead=stop");
  EXPECT_EQ(stopped.exit_code, 77) << stopped.errors;
  EXPECT_EQ(steps("stopped").size(), 4u);
}

}  // namespace
}  // namespace lockstep
