// lockstep train in stages: the program itself under its launcher, against one rank.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// The tiny job in four micro-batches, trained on one rank once for all tests.
class StagesCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    room = std::make_unique<ProgramRoom>();
    room->write("job.cfg", kTinyJob);
    train(1, "alone", "");
  }
  static void TearDownTestSuite() { room.reset(); }

  static ProgramResult run(int ranks, const std::string& name, const std::string& settings) {
    std::string words = "train job.cfg --set train.micro_batches=4 --set run.name=" + name;
    std::istringstream list(settings);
    for (std::string setting; list >> setting;) words += " --set " + setting;
    return room->run((ranks > 1 ? "launch -n " + std::to_string(ranks) + " " : "") + words);
  }
  static void train(int ranks, const std::string& name, const std::string& settings) {
    const ProgramResult result = run(ranks, name, settings);
    ASSERT_EQ(result.exit_code, 0) << name << ": " << result.errors;
    told = result.errors;
  }

  /// By (step, name): what does not depend on time. Validations where a run was stopped are others'.
  static std::map<std::pair<int, std::string>, double> metrics(const std::string& run) {
    std::map<std::pair<int, std::string>, double> values;
    std::istringstream lines(room->read("runs/" + run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line);
      for (const char* name : {"loss", "accuracy", "grad_norm", "val_loss", "val_accuracy"})
        if (json.contains(name)) values[{json["step"], name}] = json[name];
    }
    return values;
  }
  static void expect_as_alone(const std::string& run) {
    const auto expected = metrics("alone"), found = metrics(run);
    EXPECT_EQ(expected.size(), 6 * 3 + 2 * 2u);
    for (const auto& [key, value] : expected) {
      ASSERT_TRUE(found.contains(key)) << run << ", step " << key.first << ", " << key.second;
      EXPECT_EQ(found.at(key), value) << run << ", step " << key.first << ", " << key.second;
    }
  }

  static std::unique_ptr<ProgramRoom> room;
  static std::string told;  // by the last training
};
std::unique_ptr<ProgramRoom> StagesCommand::room;
std::string StagesCommand::told;

TEST_F(StagesCommand, EveryScheduleGivesTheBitsOfOneRank) {
  for (const char* schedule : {"gpipe", "1f1b", "zero-bubble"}) {
    train(2, schedule,
          "parallel.stages=2 parallel.probe=off parallel.schedule=" + std::string(schedule));
    expect_as_alone(schedule);
  }
  train(2, "folded",
        "parallel.stages=2 parallel.fold=on parallel.cuts=group1.block0,group2.block0,pool");
  expect_as_alone("folded");
  train(2, "measured", "parallel.stages=2");
  expect_as_alone("measured");
  EXPECT_TRUE(std::regex_search(
      told, std::regex("predicted / measured: .* [MG]iB a rank; computing [0-9.]+ / [0-9.]+ ms of "
                       "a step's [0-9.]+\n")))
      << told;
  const ProgramResult inspected = room->run("inspect runs/measured");
  EXPECT_TRUE(std::regex_search(
      inspected.output, std::regex("waits for other stages, % +[0-9.]+ +[0-9.]+\n  sent in a step +"
                                   "([0-9.]+ .?i?B) +\\1\n  \\(medians of 4 steps\\)")))
      << inspected.output;
}

TEST_F(StagesCommand, GoesOnInAnyGrid) {
  train(1, "moved", "train.max_steps=1");
  train(2, "moved", "train.max_steps=3 parallel.stages=2 parallel.probe=off");
  train(3, "moved", "train.max_steps=4 parallel.stages=3 parallel.probe=off");
  const ProgramResult evaluated = room->run("launch -n 2 eval job.cfg --set run.name=moved");
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.errors;
  train(1, "moved", "");
  expect_as_alone("moved");
}

TEST_F(StagesCommand, ReplicasOfStagesAreReplicas) {
  train(2, "two", "");
  train(4, "grid", "parallel.stages=2 parallel.probe=off train.hash_every=1");
  EXPECT_EQ(metrics("grid"), metrics("two"));
  train(5, "scattered",
        "parallel.stages=2 parallel.probe=off data.distribute=scatter "
        "parallel.coordinator=dedicated");
  EXPECT_EQ(metrics("scattered"), metrics("two"));
}

TEST_F(StagesCommand, SaysWhatIsWrong) {
  const ProgramResult three = run(3, "wrong", "parallel.stages=2");
  EXPECT_EQ(three.exit_code, 64) << three.errors;
  EXPECT_TRUE(three.complains("does not divide 3 workers")) << three.errors;
  const ProgramResult cut = run(2, "wrong", "parallel.stages=2 parallel.cuts=group2.blok0");
  EXPECT_EQ(cut.exit_code, 64) << cut.errors;
  EXPECT_TRUE(cut.complains("did you mean 'group2.block0'?")) << cut.errors;
}

}  // namespace
}  // namespace lockstep
