#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// Steps so small that they change no weight; group norm: there are no running statistics.
const char* const kStill =
    " --set model.norm=group --set optimizer.learning_rate=1e-30 --set train.epochs=1";

nlohmann::json evaluate(const ProgramRoom& room, const std::string& run) {
  const auto result = room.run("eval job.cfg --json --set model.norm=group --set run.name=" + run);
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return nlohmann::json::parse(result.output);
}

TEST(TrainCommand, BeginsWithAnotherRunsWeights) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  ASSERT_EQ(room.run("train job.cfg --set model.norm=group").exit_code, 0);
  const std::string from = " --set run.name=next --set run.start_from=runs/tiny";
  const auto next = room.run("train job.cfg" + from + kStill);
  ASSERT_EQ(next.exit_code, 0) << next.errors;
  EXPECT_TRUE(next.complains(
      "begins with the weights and statistics of runs/tiny/checkpoints/step-00000006"))
      << next.errors;
  const auto before = evaluate(room, "tiny"), after = evaluate(room, "next");
  EXPECT_EQ(after["step"], 3);
  EXPECT_EQ(after["loss"], before["loss"]);
  EXPECT_NE(room.read("runs/next/job.cfg").find("start_from = runs/tiny\n"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(room.read("runs/next/environment.json"))[0]["started_from"],
            "runs/tiny/checkpoints/step-00000006");

  const auto again = room.run("train job.cfg" + from + kStill + " --set train.epochs=2");
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_TRUE(again.complains("run.start_from = runs/tiny is of no use any more")) << again.errors;
  EXPECT_TRUE(room.run("inspect runs/next/checkpoints/step-00000006")
                  .says("started_from: runs/tiny/checkpoints/step-00000006\n"));

  const auto staged = room.run(
      "launch -n 2 --threads 1 train job.cfg --set run.name=staged --set parallel.stages=2"
      " --set run.start_from=runs/tiny:6" +
      std::string(kStill));
  EXPECT_EQ(staged.exit_code, 0) << staged.errors;
  EXPECT_EQ(evaluate(room, "staged")["loss"], before["loss"]);
}

TEST(TrainCommand, RefusesToStartFromWhatDoesNotFit) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  ASSERT_EQ(room.run("train job.cfg --set train.epochs=1").exit_code, 0);
  const auto missing = room.run("train job.cfg --set run.name=a --set run.start_from=runs/nowhere");
  EXPECT_EQ(missing.exit_code, 66);
  EXPECT_TRUE(missing.complains("checkpoint runs/nowhere does not exist")) << missing.errors;
  const auto other = room.run(
      "train job.cfg --set run.name=b --set run.start_from=runs/tiny --set model.widths=16,48");
  EXPECT_EQ(other.exit_code, 65);
  EXPECT_TRUE(other.complains("model.widths = 16, 48 (--set), there 16, 32")) << other.errors;
  const auto anyway = room.run(
      "train job.cfg --set run.name=b --set run.start_from=runs/tiny --set model.widths=16,48"
      " --set checkpoint.on_changed=warn");
  EXPECT_EQ(anyway.exit_code, 65);
  EXPECT_TRUE(anyway.complains(" of shape [32,16,3,3], the model has it of shape [48,16,3,3]"))
      << anyway.errors;
  const auto own = room.run("train job.cfg --set run.start_from=runs/tiny --set run.resume=false");
  EXPECT_EQ(own.exit_code, 64);
  EXPECT_TRUE(own.complains("use another run.name")) << own.errors;
  EXPECT_TRUE(std::filesystem::exists(room.directory() / "runs/tiny/checkpoints/step-00000003"));
}

TEST(TrainCommand, ARunKeepsItsNetwork) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  const std::string elu = " --set model.activation=elu --set train.epochs=1";
  ASSERT_EQ(room.run("train job.cfg" + elu).exit_code, 0);
  const auto refused = room.run("train job.cfg --set model.activation=gelu");
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_TRUE(refused.complains("model.activation = gelu (--set), there elu")) << refused.errors;
  EXPECT_TRUE(refused.complains("begin anew, with another run.name")) << refused.errors;
  // the job does not say it any more
  const auto resumed = room.run("launch -n 2 --threads 1 train job.cfg");
  EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_TRUE(
      resumed.complains("model.activation = elu, as runs/tiny/checkpoints/step-00000003 has it"));
  EXPECT_FALSE(resumed.complains("resuming: the job has model")) << resumed.errors;
  EXPECT_NE(room.read("runs/tiny/job.cfg").find("activation = elu\n"), std::string::npos);

  const auto next = room.run("train job.cfg --set run.name=next --set run.start_from=runs/tiny" +
                             std::string(kStill));
  EXPECT_EQ(next.exit_code, 65);  // kStill says another norm
  const auto begun = room.run(
      "train job.cfg --set run.name=next --set run.start_from=runs/tiny --set train.epochs=1");
  EXPECT_EQ(begun.exit_code, 0) << begun.errors;
  EXPECT_NE(room.read("runs/next/job.cfg").find("activation = elu\n"), std::string::npos);
  const auto allowed = room.run(
      "train job.cfg --set train.epochs=3 --set model.activation=gelu --set "
      "checkpoint.on_changed=warn");
  EXPECT_EQ(allowed.exit_code, 0) << allowed.errors;
  EXPECT_TRUE(allowed.complains("resuming: the job has model.activation = gelu now; it was elu"))
      << allowed.errors;
}

TEST(TrainCommand, SaysWhatASeedAndALongerCurveChange) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  const std::string cosine = "train job.cfg --set schedule.policy=cosine --set run.seed=";
  ASSERT_EQ(room.run(cosine + "1").exit_code, 0);
  const auto longer = room.run(cosine + "2 --set train.epochs=4");
  ASSERT_EQ(longer.exit_code, 0) << longer.errors;
  EXPECT_TRUE(longer.complains("run.seed = 2 counts from step 6 on")) << longer.errors;
  EXPECT_TRUE(longer.complains("the learning rate goes from 0.006699 to 0.05")) << longer.errors;
  EXPECT_TRUE(longer.complains("schedule.epochs = 2 keeps the old curve")) << longer.errors;
  EXPECT_TRUE(room.run("inspect runs/tiny/checkpoints/step-00000012")
                  .says(" samples of the next, seed 2\n"));
  const auto kept = room.run(cosine + "2 --set train.epochs=5 --set schedule.epochs=4");
  EXPECT_EQ(kept.exit_code, 0) << kept.errors;
  EXPECT_FALSE(kept.complains("the learning rate goes")) << kept.errors;
}

TEST(TrainCommand, SaysThatARunHasFinishedAndWhatToRaise) {
  ProgramRoom room;
  room.write("a.cfg",
             "[run]\nname = r\ndirectory = runs\n[data]\nsource = synthetic\nsynthetic_samples = "
             "8\nheight = 8\nwidth = 8\n"
             "[model]\ndepth = 8\n[train]\nbatch = 4\nepochs = 1\n");
  ASSERT_EQ(room.run("train a.cfg").exit_code, 0);
  const auto again = room.run("train a.cfg");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_TRUE(again.complains("finished at step 2; raise train.epochs to go on")) << again.errors;
  EXPECT_TRUE(room.run("train a.cfg --set train.epochs=5 --set train.max_steps=2")
                  .complains("finished at step 2; raise train.max_steps to go on"));
}

}  // namespace
}  // namespace lockstep
