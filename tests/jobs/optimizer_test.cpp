// optimizer.name = adamw: the program itself, where it goes on, begins anew and changes the optimizer.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "data/checkpoint.h"
#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr double kRate = 0.001;
const std::string kAdamW =
    " --set optimizer.name=adamw --set optimizer.learning_rate=0.001 --set "
    "optimizer.weight_decay=0 --set checkpoint.every_steps=1 --set checkpoint.keep=20";

using Tensors = std::map<std::string, std::vector<float>>;

Tensors tensors(const ProgramRoom& room, const std::string& run, std::int64_t step) {
  const Checkpoint checkpoint =
      Checkpoint::open(room.directory() / "runs" / run / "checkpoints" / checkpoint_name(step));
  Tensors all;
  for (const std::string& name : checkpoint.names()) {
    std::size_t count = 1;
    for (const std::int64_t d : checkpoint.dims(name)) count *= static_cast<std::size_t>(d);
    checkpoint.read(name, all.try_emplace(name, count).first->second);
  }
  return all;
}

bool has_folder(const Tensors& all, const std::string& folder) {
  const auto found = all.lower_bound(folder + "/");
  return found != all.end() && found->first.starts_with(folder + "/");
}

/// By how much the weight moved that moved most. The first update of AdamW moves by the rate, whatever the gradient is.
double largest_move(const Tensors& before, const Tensors& after) {
  double largest = 0;
  for (const auto& [name, values] : before) {
    if (!name.starts_with("parameters/")) continue;
    for (std::size_t i = 0; i < values.size(); ++i)
      largest = std::max(largest, std::abs(double(after.at(name)[i]) - double(values[i])));
  }
  return largest;
}

class OptimizerCommand : public testing::Test {
 protected:
  OptimizerCommand() { room_.write("job.cfg", kTinyJob); }
  ProgramResult train(const std::string& run, const std::string& sets, int expected = 0) {
    const auto result = room_.run("train job.cfg --set run.name=" + run + sets);
    EXPECT_EQ(result.exit_code, expected) << result.errors;
    return result;
  }
  nlohmann::json evaluate(const std::string& arguments) {
    const auto result = room_.run("eval job.cfg --json " + arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return nlohmann::json::parse(result.output);
  }
  ProgramRoom room_;
};

TEST_F(OptimizerCommand, AdamWResumesWithTheBitsOfAnUninterruptedRun) {
  train("whole", kAdamW);
  for (const char* steps : {"2", "5", "6"})
    train("parts", kAdamW + " --set train.max_steps=" + steps);
  EXPECT_EQ(tensors(room_, "whole", 6), tensors(room_, "parts", 6));
  EXPECT_TRUE(room_.run("inspect runs/whole/checkpoints/step-00000006")
                  .says("exp_avg_sq/stem.conv.weight"));
  EXPECT_EQ(room_.read("runs/whole/job.cfg").find("\nmomentum ="), std::string::npos);
}

/// Two stages, and two ranks of one: what an update sums over ranks is the gradient alone.
TEST_F(OptimizerCommand, AdamWOnAGrid) {
  const std::string group = kAdamW + " --set model.norm=group --set train.micro_batches=2";
  train("one", group);
  const auto staged = room_.run("launch -n 2 --threads 1 train job.cfg --set run.name=staged" +
                                group + " --set parallel.stages=2");
  ASSERT_EQ(staged.exit_code, 0) << staged.errors;
  EXPECT_EQ(tensors(room_, "one", 6), tensors(room_, "staged", 6));
}

/// eval's job does not say which optimizer it was.
TEST_F(OptimizerCommand, AdamWsCheckpointsAreLoadedByJobsOfSgd) {
  train("adamw", kAdamW);
  const std::string run = "--set run.name=adamw";
  const auto json = evaluate(run);
  EXPECT_EQ(json["step"], 6);
  evaluate(run + " --reestimate-bn 1 --save runs/again");
  const Tensors saved = tensors(room_, "again", 6), before = tensors(room_, "adamw", 6);
  EXPECT_EQ(saved.size(), before.size());
  EXPECT_EQ(saved.at("exp_avg/fc.bias"), before.at("exp_avg/fc.bias"));

  const std::string from = " --set run.start_from=runs/adamw --set train.max_steps=1";
  train("sgd", from);
  EXPECT_TRUE(has_folder(tensors(room_, "sgd", 1), "momentum"));
  EXPECT_FALSE(has_folder(tensors(room_, "sgd", 1), "exp_avg"));
}

TEST_F(OptimizerCommand, ABeginningCountsAdamWsUpdatesAnew) {
  train("first", kAdamW);
  train("next", kAdamW + " --set run.start_from=runs/first --set train.max_steps=1");
  EXPECT_NEAR(largest_move(tensors(room_, "first", 6), tensors(room_, "next", 1)), kRate,
              1e-3 * kRate);

  train("sgd", " --set train.max_steps=3");
  train("other", kAdamW + " --set run.start_from=runs/sgd --set train.max_steps=1");
  EXPECT_NEAR(largest_move(tensors(room_, "sgd", 3), tensors(room_, "other", 1)), kRate,
              1e-3 * kRate);
}

TEST_F(OptimizerCommand, ARunKeepsItsOptimizer) {
  train("sgd", " --set train.max_steps=3");
  const auto refused = train("sgd", kAdamW, 65);
  EXPECT_TRUE(
      refused.complains("was trained by another optimizer: it holds momentum, "
                        "optimizer.name = adamw needs exp_avg, exp_avg_sq"))
      << refused.errors;
  EXPECT_TRUE(refused.complains("or set checkpoint.on_changed = warn")) << refused.errors;

  fs::copy(room_.directory() / "runs/sgd", room_.directory() / "runs/parts",
           fs::copy_options::recursive);
  const std::string warn = kAdamW + " --set checkpoint.on_changed=warn --set train.max_steps=";
  const auto allowed = train("sgd", warn + "5");
  EXPECT_TRUE(allowed.complains("training goes on with these zeroed")) << allowed.errors;
  EXPECT_NEAR(largest_move(tensors(room_, "sgd", 3), tensors(room_, "sgd", 4)), kRate,
              1e-3 * kRate);
  EXPECT_FALSE(has_folder(tensors(room_, "sgd", 4), "momentum"));

  train("parts", warn + "4");  // the count goes with the checkpoint
  EXPECT_FALSE(train("parts", warn + "5").complains("zeroed"));
  EXPECT_EQ(tensors(room_, "sgd", 5), tensors(room_, "parts", 5));
  EXPECT_TRUE(room_.run("inspect runs/parts/checkpoints/step-00000005")
                  .says("optimizer: what it keeps has seen 2 of these steps\n"));

  const auto back = train("parts", " --set train.max_steps=6", 65);
  EXPECT_TRUE(back.complains("it holds exp_avg, exp_avg_sq, optimizer.name = sgd needs momentum"))
      << back.errors;
}

/// Neither weights nor slots have seen a step that was skipped.
TEST_F(OptimizerCommand, ASkippedStepIsNoUpdateOfAdamW) {
  train("start", " --set train.max_steps=1");
  train("skips", kAdamW +
                     " --set run.start_from=runs/start --set train.max_steps=2 --set "
                     "health.on_nan=skip --fault nan:0:1");
  const Tensors start = tensors(room_, "start", 1), second = tensors(room_, "skips", 2);
  EXPECT_EQ(largest_move(start, tensors(room_, "skips", 1)), 0);
  EXPECT_NEAR(largest_move(start, second), kRate, 1e-3 * kRate);
}

TEST_F(OptimizerCommand, AdamWsMemoryIsPlanned) {
  const auto state_of = [&](const std::string& sets) {
    std::map<std::string, std::int64_t> parts;
    const auto result = room_.run("plan job.cfg --json --set parallel.probe=off" + sets);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    const auto groups = nlohmann::json::parse(result.output)["stages"][0]["memory"];
    for (const auto& group : groups)
      if (group["name"] == "model state")
        for (const auto& [name, bytes] : group["parts"].items()) parts[name] = bytes;
    return parts;
  };
  const auto sgd = state_of(""), adamw = state_of(kAdamW);
  ASSERT_GT(sgd.at("parameters"), 0);
  EXPECT_EQ(sgd.at("momentum"), sgd.at("parameters"));
  EXPECT_EQ(adamw.at("exp_avg"), sgd.at("parameters"));
  EXPECT_EQ(adamw.at("exp_avg_sq"), sgd.at("parameters"));
  EXPECT_FALSE(adamw.contains("momentum"));
  EXPECT_TRUE(train("large", " --set optimizer.name=adamw --set train.max_steps=1")
                  .complains("optimizer.learning_rate = 0.1 is a rate for sgd"));
}

}  // namespace
}  // namespace lockstep
