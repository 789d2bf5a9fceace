#include "coordinator/checkpoint_choice.h"

#include <gtest/gtest.h>

#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

using Which = CheckpointChoice::Which;
namespace fs = std::filesystem;

void save(const fs::path& checkpoints, const TrainingState& state) {
  const std::vector<float> values{1, 2};
  const std::vector<TensorView> tensors{{"parameters/a", {2}, values}};
  const fs::path temporary = temporary_checkpoint_directory(checkpoints, state.step);
  const std::vector<std::string> reports{write_shard(temporary, 0, tensors)};
  publish_checkpoint(checkpoints, state, reports);
}

std::int64_t step_of(const std::string& text, const fs::path& run) {
  return open_checkpoint(parse_checkpoint_choice(text), run).state().step;
}

std::string complaint(const std::string& text, const fs::path& run) {
  try {
    step_of(text, run);
  } catch (const MissingFileError& error) {
    return error.what();
  }
  return "";
}

TEST(CheckpointChoice, Words) {
  EXPECT_EQ(parse_checkpoint_choice("").which, Which::kNewest);
  EXPECT_EQ(parse_checkpoint_choice("best").which, Which::kBest);
  EXPECT_EQ(parse_checkpoint_choice("1200").which, Which::kStep);
  EXPECT_EQ(parse_checkpoint_choice("1200").step, 1200);
  EXPECT_EQ(parse_checkpoint_choice("runs/a").directory, "runs/a");
  EXPECT_EQ(parse_checkpoint_choice("runs/a").which, Which::kNewest);
  EXPECT_EQ(parse_checkpoint_choice("runs/a:best").directory, "runs/a");
  EXPECT_EQ(parse_checkpoint_choice("runs/a:best").which, Which::kBest);
  EXPECT_EQ(parse_checkpoint_choice("runs/a:7").step, 7);
  EXPECT_EQ(parse_checkpoint_choice("runs/a:b").directory, "runs/a:b");
}

TEST(CheckpointChoice, OpensNewestBestStepAndDirectory) {
  const TempFolder temporary;
  const fs::path run(temporary.path()), checkpoints = run / "checkpoints";
  save(checkpoints, {.step = 3, .best_metric = 0.5, .best_step = 3});
  save(checkpoints, {.step = 6, .best_metric = 0.5, .best_step = 3});
  EXPECT_EQ(step_of("", run), 6);
  EXPECT_EQ(step_of("best", run), 3);
  EXPECT_EQ(step_of("3", run), 3);
  for (const std::string& newest :
       {run.string(), checkpoints.string(), (checkpoints / "step-00000006").string()})
    EXPECT_EQ(step_of(newest, "elsewhere"), 6) << newest;
  EXPECT_EQ(step_of(run.string() + ":best", "elsewhere"), 3);
  EXPECT_NE(complaint("4", run).find("no checkpoint of step 4 in "), std::string::npos);
  EXPECT_NE(complaint("4", run).find("there are those of the steps 3, 6"), std::string::npos);
  fs::remove_all(checkpoints / "step-00000003");
  EXPECT_NE(complaint("best", run).find("no best checkpoint, of step 3 in "), std::string::npos);
}

TEST(CheckpointChoice, NothingThere) {
  const TempFolder temporary;
  const fs::path run(temporary.path());
  EXPECT_NE(complaint("", run).find("no good checkpoint in "), std::string::npos);
  EXPECT_NE(complaint("2", run).find("there is none"), std::string::npos);
  EXPECT_NE(complaint((run / "gone").string(), run).find("does not exist"), std::string::npos);
  save(run / "checkpoints", {.step = 1});
  EXPECT_NE(complaint("best", run).find("nothing was validated"), std::string::npos);
}

TEST(CheckpointChoice, MissingNamesSayWhatMayBeMeant) {
  const TempFolder temporary;
  const fs::path runs(temporary.path()), run = runs / "a";
  save(run / "checkpoints", {.step = 3});
  EXPECT_EQ(complaint("a", runs / "b"),
            "checkpoint a does not exist; did you mean " + run.string() + "?");
  EXPECT_EQ(complaint("a:best", runs / "b"),
            "checkpoint a does not exist; did you mean " + run.string() + "?");
  EXPECT_EQ(complaint("c", runs / "b"), "checkpoint c does not exist");
  EXPECT_EQ(complaint("a:newest", runs / "b"), "checkpoint a:newest does not exist");
  EXPECT_EQ(complaint(run.string() + ":newest", runs / "b"),
            "checkpoint " + run.string() +
                ":newest does not exist; after the colon stands best or a step, and there are "
                "those of the steps 3");
}

}  // namespace
}  // namespace lockstep
