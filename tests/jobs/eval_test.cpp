#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// One run of the tiny job, trained once for all tests.
class EvalCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    room = std::make_unique<ProgramRoom>();
    room->write("job.cfg", kTinyJob);
    const auto trained = room->run("train job.cfg");
    ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  }
  static void TearDownTestSuite() { room.reset(); }

  static nlohmann::json evaluate(const std::string& arguments) {
    const auto result = room->run(arguments + " --json");
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return nlohmann::json::parse(result.output);
  }
  /// The last line with `key` of the run's metrics.
  static nlohmann::json last_metrics(const std::string& key) {
    std::istringstream lines(room->read("runs/tiny/metrics.jsonl"));
    nlohmann::json found;
    for (std::string line; std::getline(lines, line);)
      if (const auto json = nlohmann::json::parse(line); json.contains(key)) found = json;
    return found;
  }

  static std::unique_ptr<ProgramRoom> room;
};
std::unique_ptr<ProgramRoom> EvalCommand::room;

TEST_F(EvalCommand, GivesWhatTrainingValidatedLast) {
  const auto json = evaluate("eval job.cfg"), trained = last_metrics("val_loss");
  EXPECT_EQ(json["loss"], trained["val_loss"]);  // same grid, same bits
  EXPECT_EQ(json["top1"], trained["val_accuracy"]);
  EXPECT_EQ(json["top5"], trained["val_top5"]);
  EXPECT_EQ(json["samples"], trained["val_samples"]);
  EXPECT_EQ(json["step"], 6);
  EXPECT_EQ(json["checkpoint"], "runs/tiny/checkpoints/step-00000006");
  EXPECT_EQ(json["reestimated_batches"], 0);
}

TEST_F(EvalCommand, PrintsOneLine) {
  const auto result = room->run("eval job.cfg");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_EQ(std::ranges::count(result.output, '\n'), 1);
  EXPECT_TRUE(result.output.starts_with("val loss ")) << result.output;
}

TEST_F(EvalCommand, RanksShareTheSamples) {
  const auto one = evaluate("eval job.cfg"), three = evaluate("launch -n 3 eval job.cfg");
  EXPECT_NEAR(one["loss"], three["loss"], 1e-5);
  EXPECT_EQ(one["samples"], three["samples"]);
  EXPECT_EQ(one["top5"], three["top5"]);
  const std::string scatter = " --set data.distribute=scatter --reestimate-bn 2";
  const auto alone = evaluate("eval job.cfg --reestimate-bn 2");
  const auto scattered = evaluate("launch -n 2 eval job.cfg" + scatter);
  EXPECT_NEAR(alone["loss"], scattered["loss"], 1e-4);
}

TEST_F(EvalCommand, ReestimatedStatisticsServeThisEvaluationOnly) {
  const auto before = evaluate("eval job.cfg");
  const auto with = evaluate("eval job.cfg --reestimate-bn 100");
  EXPECT_EQ(with["reestimated_batches"], 3);  // 48 samples are three batches of 16
  EXPECT_NE(with["loss"], before["loss"]);
  EXPECT_EQ(evaluate("eval job.cfg"), before);
}

TEST_F(EvalCommand, AnotherSplitAndAnotherCheckpoint) {
  const auto train = evaluate("eval job.cfg --split train");
  EXPECT_EQ(train["samples"], 48);
  const auto older =
      evaluate("eval job.cfg --checkpoint runs/tiny/checkpoints/step-00000003 --split train");
  EXPECT_EQ(older["step"], 3);
  EXPECT_NE(older["loss"], train["loss"]);
}

TEST_F(EvalCommand, BestStepOrRunDirectory) {
  EXPECT_EQ(evaluate("eval job.cfg --checkpoint 3")["step"], 3);
  EXPECT_EQ(evaluate("eval job.cfg --checkpoint runs/tiny --set run.name=other")["step"], 6);
  EXPECT_EQ(evaluate("eval job.cfg --checkpoint runs/tiny:3 --set run.name=other")["step"], 3);
  const auto best = evaluate("eval job.cfg --checkpoint best");
  const auto named = room->run("inspect runs/tiny");
  EXPECT_TRUE(named.says("best checkpoint step-0000000" + best["step"].dump() + ": validation score "))
      << named.output;
  EXPECT_TRUE(room->run("inspect runs/tiny:3").says("\nstep 3, epoch 1, "));
  EXPECT_EQ(room->run("inspect runs/tiny:4").exit_code, 66);
  const auto missing = room->run("eval job.cfg --checkpoint 5");
  EXPECT_EQ(missing.exit_code, 66);
  EXPECT_TRUE(missing.complains("no checkpoint of step 5 in runs/tiny/checkpoints; there are those of the steps 3, 6"))
      << missing.errors;
}

TEST_F(EvalCommand, SaysWhatIsWrong) {
  const auto untrained = room->run("eval job.cfg --set run.name=other");
  EXPECT_EQ(untrained.exit_code, 66);
  EXPECT_TRUE(untrained.complains("no good checkpoint in runs/other/checkpoints; train the job"));
  const auto missing = room->run("eval job.cfg --checkpoint nowhere");
  EXPECT_EQ(missing.exit_code, 66);
  EXPECT_TRUE(missing.complains("checkpoint nowhere does not exist"));
  const auto other_model = room->run("eval job.cfg --set model.widths=16,48");
  EXPECT_EQ(other_model.exit_code, 65);
  EXPECT_TRUE(other_model.complains("it is of another model"));
  EXPECT_EQ(room->run("eval job.cfg --split test").exit_code, 64);
  EXPECT_EQ(room->run("eval job.cfg --reestimate-bn 0").exit_code, 64);
  EXPECT_EQ(room->run("eval job.cfg --reestimate-bn 2 --set model.norm=group").exit_code, 64);
}

}  // namespace
}  // namespace lockstep
