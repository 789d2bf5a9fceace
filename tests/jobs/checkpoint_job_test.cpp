#include "jobs/checkpoint_job.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/error.h"

namespace lockstep {
namespace {

constexpr const char* kName = "runs/a/checkpoints/step-00000006";

/// Details of a checkpoint that this job has made, on input [3,32,32].
std::string details_of(const std::string& job) {
  const InputFacts facts{.input = {3, 32, 32},
                         .mean = {0.5f},
                         .std = {0.25f},
                         .resize = 0,
                         .class_names = {},
                         .classes = 4};
  const std::string text = with_input_facts(to_ini(parse_job(job, "made.cfg")), facts);
  return details_with_input_facts(nlohmann::json{{"job", text}}.dump(), facts);
}

SaidJob say(const std::string& job) { return parse_said_job(job, "a.cfg"); }

std::string refusal(const std::string& job, const std::string& made_by,
                    CheckpointUse use = CheckpointUse::kEvaluate) {
  SaidJob said = say(job);
  try {
    fit_to_checkpoint(said, kName, details_of(made_by), use);
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(CheckpointJob, GivesTheKeysThatTheJobDoesNotSay) {
  const std::string details = details_of(
      "[model]\nactivation = elu\nnorm_eps = 0.001\ndropout = 0.5\n[augment]\nresize = 40\n");
  for (const CheckpointUse use :
       {CheckpointUse::kEvaluate, CheckpointUse::kResume, CheckpointUse::kStartFrom}) {
    SaidJob said = say("[train]\nbatch = 16\n");
    const JobFit fit = fit_to_checkpoint(said, kName, details, use);
    EXPECT_TRUE(fit.warnings.empty());
    EXPECT_EQ(fit.notes.size(), 3u);
    EXPECT_EQ(fit.notes.back(),
              std::string("model.activation = elu, as ") + kName + " has it: the job does not say");
    EXPECT_EQ(said.job.model.activation, "elu");
    EXPECT_EQ(said.job.model.norm_eps, 0.001f);
    EXPECT_EQ(said.job.augment.resize, 40);
    EXPECT_EQ(said.job.augment.mean, std::vector<float>{0.5f});
    // A run that goes on takes the size from its data again, and trains as its job says.
    EXPECT_EQ(said.job.data.height, use == CheckpointUse::kResume ? 0 : 32);
    EXPECT_EQ(said.job.model.dropout, use == CheckpointUse::kEvaluate ? 0.5f : 0.0f);
  }
}

TEST(CheckpointJob, RefusesKeysThatChangeTheNetwork) {
  const std::string said = refusal("[model]\nnorm_eps = 0.001\n", "");
  EXPECT_EQ(said, std::string(kName) +
                      ": it is of another model or input than the job: model.norm_eps = 0.001 "
                      "(a.cfg:2), there 1e-05. Take "
                      "this key out of the job, so that the checkpoint's values count; or set "
                      "checkpoint.on_changed = warn, "
                      "so that the job's do");
  EXPECT_TRUE(contains(refusal("[model]\nresidual_scale = 0.5\n", "", CheckpointUse::kResume),
                       "another run.name"));
  for (const char* key :
       {"activation = elu", "pre_activation = true", "norm = group", "conditional_skip = 0.3",
        "shortcut = A", "depth = 32", "widen = 2", "se_reduction = 16"})
    EXPECT_NE(refusal(std::string("[model]\n") + key + "\n", ""), "") << key;
  const std::string transformer = "[model]\nfamily = transformer\ncounts = 2\nwidths = 64\n";
  EXPECT_NE(refusal("[model]\nheads = 4\n", transformer), "");
  EXPECT_NE(refusal("[model]\npre_norm = false\n", transformer), "");
  EXPECT_TRUE(contains(refusal("[model]\nfamily = mlp\n", transformer),
                       "model.family = mlp (a.cfg:2), there transformer"));
  const std::string pixels = refusal("[augment]\nmean = 0.1\nstd = 0.25\n", "");
  EXPECT_TRUE(contains(pixels, "augment.mean = 0.1 (a.cfg:2), there 0.5. ")) << pixels;
}

TEST(CheckpointJob, TellsWordsFromWhatTheyMean) {
  EXPECT_EQ(refusal("[model]\nactivation = relu\nnorm = batch\nstem = cifar\n", ""), "");
  EXPECT_EQ(refusal("[model]\nactivation = auto\n", "[model]\nactivation = relu\n"), "");
  EXPECT_EQ(refusal("[augment]\nmean = 0.5, 0.5, 0.5\nstd = 0.25, 0.25, 0.25\n", ""), "");
  EXPECT_EQ(
      refusal(
          "[model]\ndropout = 0.3\nstochastic_depth = 0.2\nlast_gamma = 0\nnorm_momentum = 0.2\n",
          ""),
      "");
}

TEST(CheckpointJob, WarnsWhereTheJobIsToCount) {
  SaidJob said = say("[model]\nnorm_eps = 0.001\n[checkpoint]\non_changed = warn\n");
  const JobFit fit = fit_to_checkpoint(said, kName, details_of(""), CheckpointUse::kEvaluate);
  EXPECT_EQ(fit.warnings, std::vector<std::string>{std::string(kName) +
                                                   " has model.norm_eps = 1e-05; what counts is "
                                                   "model.norm_eps = 0.001 (a.cfg:2)"});
  EXPECT_EQ(said.job.model.norm_eps, 0.001f);
  SaidJob other =
      say("[model]\nfamily = mlp\nwidths = 8\ncounts = 1\n[checkpoint]\non_changed = warn\n");
  EXPECT_FALSE(fit_to_checkpoint(other, kName, details_of("[model]\ndepth = 56\n"),
                                 CheckpointUse::kStartFrom)
                   .warnings.empty());
  EXPECT_EQ(other.job.model.depth, 20);  // means nothing to an mlp
}

TEST(CheckpointJob, AnotherSizeOrLossIsOnlyTold) {
  SaidJob said = say(
      "[data]\nheight = 64\nwidth = 64\n[augment]\nresize = 70\n[model]\nlabel_smoothing = 0.1\n");
  const JobFit fit = fit_to_checkpoint(said, kName, details_of("[augment]\nresize = 40\n"),
                                       CheckpointUse::kEvaluate);
  EXPECT_EQ(fit.warnings.size(), 4u);
  EXPECT_EQ(fit.warnings.front(),
            std::string(kName) +
                " was trained with data.height = 32; what counts is data.height = 64 (a.cfg:2)");
  SaidJob larger = say("[data]\nheight = 64\nwidth = 64\n");
  fit_to_checkpoint(larger, kName, details_of("[augment]\nresize = 40\n"),
                    CheckpointUse::kEvaluate);
  EXPECT_EQ(larger.job.augment.resize, 0);  // 40 is less than the input
  SaidJob resumed = say("[data]\nheight = 64\nwidth = 64\n");
  EXPECT_TRUE(fit_to_checkpoint(resumed, kName, details_of(""), CheckpointUse::kResume)
                  .warnings.empty());  // the trainer tells
}

TEST(CheckpointJob, OldCheckpointsAreNotCompared) {
  SaidJob said = say("[model]\nnorm_eps = 0.001\n");
  const JobFit fit = fit_to_checkpoint(said, kName, "{}", CheckpointUse::kResume);
  ASSERT_EQ(fit.warnings.size(), 1u);
  EXPECT_TRUE(contains(fit.warnings[0], "does not tell what model and input it was made with"));
  SaidJob newer = say("");  // keys that are not known here are passed over
  const std::string details =
      nlohmann::json{{"job", "[model]\nnorm_eps = 0.5\nnew_key = 1\n[augment]\nmean =\nstd =\n"}}
          .dump();
  EXPECT_TRUE(fit_to_checkpoint(newer, kName, details, CheckpointUse::kResume).warnings.empty());
  EXPECT_EQ(newer.job.model.norm_eps, 0.5f);
  EXPECT_TRUE(newer.job.augment.mean.empty());
}

}  // namespace
}  // namespace lockstep
