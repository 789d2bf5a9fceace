#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/checkpoint.h"
#include "tests/jobs/cifar_files.h"
#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// A copy of a checkpoint in `to`, as programs wrote it that told nothing of the job.
void strip_details(const std::filesystem::path& from, const std::filesystem::path& to) {
  const Checkpoint checkpoint = Checkpoint::open(from);
  std::vector<std::vector<float>> values;
  std::vector<TensorView> tensors;
  values.reserve(checkpoint.names().size());
  for (const std::string& name : checkpoint.names()) {
    std::size_t count = 1;
    for (const std::int64_t d : checkpoint.dims(name)) count *= static_cast<std::size_t>(d);
    checkpoint.read(name, values.emplace_back(count));
    tensors.push_back({name, checkpoint.dims(name), values.back()});
  }
  TrainingState state = checkpoint.state();
  state.details = "{}";
  const std::string report =
      write_shard(temporary_checkpoint_directory(to, state.step), 0, tensors);
  publish_checkpoint(to, state, std::vector{report});
}

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

TEST_F(EvalCommand, ReestimatedStatisticsMayBeKept) {
  const auto with = evaluate("eval job.cfg --reestimate-bn 3 --save kept");
  auto kept = evaluate("eval job.cfg --checkpoint kept");
  EXPECT_EQ(kept["checkpoint"], "kept/checkpoints/step-00000006");
  EXPECT_EQ(kept["loss"], with["loss"]);
  const auto again = room->run("eval job.cfg --reestimate-bn 3 --save kept");
  EXPECT_EQ(again.exit_code, 64);
  EXPECT_TRUE(again.complains("there is a checkpoint of step 6 already")) << again.errors;
  EXPECT_EQ(room->run("eval job.cfg --save elsewhere").exit_code, 64);
}

// With this momentum the running statistics are still those of the start.
TEST_F(EvalCommand, HintsAtStaleStatistics) {
  const std::string stale =
      " --set run.name=stale --set model.norm_momentum=1e-6 --set train.epochs=30";
  ASSERT_EQ(room->run("train job.cfg" + stale).exit_code, 0);
  const auto told = room->run("eval job.cfg --split train" + stale);
  EXPECT_TRUE(told.complains("batch norm's running statistics do not suit the weights"))
      << told.errors;
  EXPECT_FALSE(
      room->run("eval job.cfg --split train --reestimate-bn 3" + stale).complains("do not suit"));
  EXPECT_FALSE(room->run("eval job.cfg --split train").complains("do not suit"));
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
  EXPECT_TRUE(
      named.says("best checkpoint step-0000000" + best["step"].dump() + ": validation score "))
      << named.output;
  EXPECT_TRUE(room->run("inspect runs/tiny:3").says("\nstep 3, after epoch 1 "));
  EXPECT_EQ(room->run("inspect runs/tiny:4").exit_code, 66);
  const auto missing = room->run("eval job.cfg --checkpoint 5");
  EXPECT_EQ(missing.exit_code, 66);
  EXPECT_TRUE(missing.complains(
      "no checkpoint of step 5 in runs/tiny/checkpoints; there are those of the steps 3, 6"))
      << missing.errors;
}

TEST_F(EvalCommand, TakesWhatTheJobDoesNotSayFromTheCheckpoint) {
  const auto trained = room->run(
      "train job.cfg --set run.name=elu --set model.activation=elu --set model.norm_eps=0.1"
      " --set augment.mean=0.3 --set augment.std=0.1");
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  std::istringstream lines(room->read("runs/elu/metrics.jsonl"));
  nlohmann::json last;
  for (std::string line; std::getline(lines, line);)
    if (const auto json = nlohmann::json::parse(line); json.contains("val_loss")) last = json;
  EXPECT_EQ(evaluate("eval job.cfg --set run.name=elu")["loss"], last["val_loss"]);
  EXPECT_EQ(evaluate("eval job.cfg --checkpoint runs/elu:6 --set model.activation=elu")["loss"],
            last["val_loss"]);
  EXPECT_TRUE(room->run("eval job.cfg --set run.name=elu")
                  .complains("model.activation = elu, as runs/elu/checkpoints/"));
  EXPECT_TRUE(room->run("inspect runs/elu:6").says("\njob (what differs from the defaults)\n"));
  EXPECT_TRUE(room->run("inspect runs/elu:6").says("\n  model.norm_eps = 0.1\n"));
}

TEST_F(EvalCommand, RefusesAnotherNetworkThanTheCheckpoints) {
  for (const std::string key :
       {"model.norm_eps=0.1", "model.activation=elu", "model.residual_scale=0.5"}) {
    const auto refused = room->run("eval job.cfg --set " + key);
    EXPECT_EQ(refused.exit_code, 65) << key;
    EXPECT_TRUE(
        refused.complains("step-00000006: it is of another model or input than the job: model."))
        << refused.errors;
    EXPECT_TRUE(refused.complains("(--set), there ")) << refused.errors;
  }
  const std::string mean = "eval job.cfg --set augment.mean=0.1 --set augment.std=0.25";
  EXPECT_TRUE(room->run(mean).complains(
      "augment.mean = 0.1 (--set), there 0.5. Take this key out of the job"));
  const auto allowed = room->run(mean + " --set checkpoint.on_changed=warn");
  EXPECT_EQ(allowed.exit_code, 0) << allowed.errors;
  EXPECT_TRUE(allowed.complains("has augment.mean = 0.5; what counts is augment.mean = 0.1"))
      << allowed.errors;
  const auto ranks = room->run("launch -n 2 --threads 1 eval job.cfg --set model.norm_eps=0.1");
  EXPECT_EQ(ranks.exit_code, 65);
}

TEST_F(EvalCommand, OldCheckpointsStillLoad) {
  const auto before = evaluate("eval job.cfg");
  std::filesystem::create_directory(room->directory() / "old");
  strip_details(room->directory() / "runs/tiny/checkpoints/step-00000006",
                room->directory() / "old");
  const auto old = room->run("eval job.cfg --json --checkpoint old");
  EXPECT_EQ(old.exit_code, 0) << old.errors;
  EXPECT_EQ(nlohmann::json::parse(old.output)["loss"], before["loss"]);
  EXPECT_TRUE(
      old.complains("old/step-00000006 does not tell what model and input it was made with"))
      << old.errors;
}

TEST_F(EvalCommand, RefusesClassesInAnotherOrder) {
  write_cifar(*room, "cifar", 12);
  const std::string job =
      " job.cfg --set data.source=cifar10 --set data.path=cifar --set run.name=cifar";
  ASSERT_EQ(room->run("train" + job + " --set train.epochs=1").exit_code, 0);
  EXPECT_EQ(room->run("eval" + job).exit_code, 0);
  room->write("cifar/batches.meta.txt", "b\na\nc\nd\ne\nf\ng\nh\ni\nj\n");
  const auto refused = room->run("eval" + job);
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_TRUE(
      refused.complains("cifar: label 0 is 'b' in the data, 'a' where the checkpoint was trained"))
      << refused.errors;
  const auto allowed = room->run("eval" + job + " --set checkpoint.on_changed=warn");
  EXPECT_EQ(allowed.exit_code, 0);
  EXPECT_TRUE(allowed.complains("label 0 is 'b'"));
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
