#include "jobs/job_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "data/error.h"
#include "jobs/job_key.h"
#include "tests/jobs/job_errors.h"

namespace lockstep {
namespace {

TEST(JobFile, ReadsEveryKindOfValue) {
  const Job job = parse_job(
      "# a comment\n[run]\nname = first # and another\nseed = 18446744073709551615\nresume = no\n"
      "[data]\nsource=cifar10\n  path =  data/my pictures  \r\n[augment]\nmean = .49, 0.48,0.5\n"
      "std = 0.2,0.2,0.2\n[schedule]\nmilestones = 3.5, 8\n[model]\nfamily = custom\ncounts = 2,2\n"
      "widths = 16, 32\nnorm_eps = 1e-3\nresidual_scale = 1/L\n",
      "a.cfg");
  EXPECT_EQ(job.run.name, "first");
  EXPECT_EQ(job.run.seed, 18446744073709551615u);
  EXPECT_FALSE(job.run.resume);
  EXPECT_EQ(job.data.path, "data/my pictures");
  EXPECT_EQ(job.augment.mean, (std::vector<float>{.49f, .48f, .5f}));
  EXPECT_EQ(job.schedule.milestones, (std::vector<double>{3.5, 8}));
  EXPECT_EQ(job.model.counts, (std::vector<int>{2, 2}));
  EXPECT_EQ(job.model.norm_eps, 1e-3f);
  EXPECT_EQ(job.model.residual_scale, "1/L");
  EXPECT_EQ(job.train.batch, Job{}.train.batch);
}

TEST(JobFile, EmptyFileIsTheDefaults) { EXPECT_EQ(to_ini(parse_job("", "a.cfg")), to_ini(Job{})); }

TEST(JobFile, UnknownKeyNamesFileLineAndTheNearestKey) {
  EXPECT_EQ(error_of("\n[train]\n# batch\nbacth = 3\n"),
            "a.cfg:4: unknown key 'train.bacth'; did you mean 'train.batch'?");
  EXPECT_EQ(error_of("[train]\nlearning_rate = 3\n"),
            "a.cfg:2: unknown key 'train.learning_rate'; did you mean 'optimizer.learning_rate'?");
  EXPECT_EQ(error_of("epochs = 3\n"),
            "a.cfg:1: unknown key 'epochs'; did you mean 'train.epochs'?");
}

TEST(JobFile, BadValueNamesFileLineKeyValueAndWhatIsValid) {
  EXPECT_EQ(error_of("[train]\nbatch = 0\n"),
            "a.cfg:2: train.batch = '0' is not valid; use an integer, at least 1");
  EXPECT_EQ(error_of("[optimizer]\n\nmomentum = 1\n"),
            "a.cfg:3: optimizer.momentum = '1' is not valid; use a number, at least 0, below 1");
  EXPECT_EQ(error_of("[model]\nlearned_skip = 1\n"),
            "a.cfg:2: model.learned_skip = '1' is not valid; use a number, at least 0, below 1");
  EXPECT_EQ(error_of("[model]\nlearned_skip_weight = 0\n"),
            "a.cfg:2: model.learned_skip_weight = '0' is not valid; use a number, above 0");
  EXPECT_EQ(error_of("[data]\ndistribute = share\n"),
            "a.cfg:2: data.distribute = 'share' is not valid; did you mean 'shared'? Use shared or "
            "scatter");
  for (const char* value : {"", "ten", "1.5", "128 images", "99999999999", "-1", "0x10", "nan"}) {
    EXPECT_NE(error_of(std::string("[train]\nbatch = ") + value).find("a.cfg:2: train.batch = '"),
              std::string::npos)
        << value;
  }
  for (const char* value : {"80,", ",80", "80;120", "80,nan", "80 120"}) {
    EXPECT_NE(error_of(std::string("[schedule]\nmilestones = ") + value).find("commas"),
              std::string::npos)
        << value;
  }
}

TEST(JobFile, LineThatIsNoAssignmentAndKeyGivenTwice) {
  EXPECT_EQ(error_of("[train]\nbatch 128\n"),
            "a.cfg:2: 'batch 128' is neither [section] nor key = value");
  EXPECT_EQ(error_of("[train]\nbatch = 1\n[train]\nbatch = 2\n"),
            "a.cfg:4: 'train.batch' was set before, at a.cfg:2; keep one of them");
}

TEST(JobFile, OverridesComeAfterTheFileAndAreNamedInErrors) {
  const std::vector<std::string> twice = {"train.batch=64", "train.batch = 32"};
  EXPECT_EQ(parse_job("[train]\nbatch = 128\n", "a.cfg", twice).train.batch, 32);
  EXPECT_EQ(error_of("", {"train.batch=none"}),
            "--set: train.batch = 'none' is not valid; use an integer, at least 1");
  EXPECT_EQ(error_of("", {"train.bacth=1"}),
            "--set: unknown key 'train.bacth'; did you mean 'train.batch'?");
  EXPECT_EQ(error_of("", {"train.batch"}), "--set train.batch: use --set section.key=value");
}

/// Both would be cut from the effective job, which is what a run is resumed with.
TEST(JobFile, OverridesHaveNeitherCommentsNorLineBreaks) {
  EXPECT_NE(error_of("", {"run.name=a # b"}).find("neither '#' nor line breaks"),
            std::string::npos);
  EXPECT_NE(error_of("", {"run.name=a\n[data]"}).find("--set run.name"), std::string::npos);
}

TEST(JobFile, KeysThatDoNotGoTogether) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"[data]\nsource = cifar10\n", "data.path"},
      {"[data]\nheight = 32\n", "data.height"},
      {"[augment]\nrandom_resized_crop = true\n", "augment.random_resized_crop"},
      {"[augment]\nmean = 0.5\n", "augment.mean"},
      {"[data]\nheight = 224\nwidth = 224\n[augment]\nresize = 200\n", "augment.resize"},
      {"[model]\nfamily = custom\n", "model.counts"},
      {"[model]\nfamily = custom\ncounts = 1,1\nwidths = 8\n", "model.widths"},
      {"[model]\ncounts = 1\n", "model.counts"},
      {"[train]\nbatch = 2\nmicro_batches = 4\n", "train.micro_batches"},
      {"[train]\nvalidate_every = 0\nearly_stopping = 3\n", "train.early_stopping"},
      {"[optimizer]\nmomentum = 0\nnesterov = true\n", "optimizer.nesterov"},
      {"[train]\nepochs = 2\n[schedule]\nwarmup_epochs = 2\n", "schedule.warmup_epochs"},
      {"[schedule]\nmilestones = 9, 3\n", "schedule.milestones"},
      {"[checkpoint]\nevery_steps = 5\nmean_time_to_failure_s = 60\n",
       "checkpoint.mean_time_to_failure_s"},
      {"[health]\non_nan = ignore\non_spike = skip\n", "health.on_nan"},
      {"[schedule]\npolicy = plateau\ngamma = 1\n", "schedule.gamma"},
      {"[schedule]\npolicy = plateau\n[train]\nvalidate_every = 0\n", "schedule.policy"},
      {"[schedule]\npatience = 3\n", "schedule.patience"},
      {"[schedule]\nplateau_metric = accuracy\n", "schedule.plateau_metric"},
      {"[schedule]\nthreshold = 0\n", "schedule.threshold"},
      {"[schedule]\npolicy = cosine\nmilestones = 3\n", "schedule.milestones"}};
  for (const auto& [text, key] : bad) {
    EXPECT_NE(error_of(text).find(": " + key + " = '"), std::string::npos) << error_of(text);
  }
  EXPECT_EQ(error_of("[train]\nbatch = 2\n\nmicro_batches = 4\n"),
            "a.cfg:4: train.micro_batches = '4': more pieces than train.batch = 2 has images");
  EXPECT_EQ(error_of("", {"data.source=cifar10"}),
            "a.cfg: data.path = '': data.source = cifar10 needs the path of its files");
}

/// Said is refused, even where it says the default: it would do nothing.
TEST(JobFile, KeysOfAnotherOptimizerAreRefused) {
  EXPECT_EQ(
      error_of("[optimizer]\nname = adamw\nmomentum = 0.9\n"),
      "a.cfg:3: optimizer.momentum = '0.9': only with optimizer.name = sgd; here it is adamw. "
      "Leave it out, or set optimizer.name");
  EXPECT_NE(error_of("[optimizer]\nnesterov = true\n", {"optimizer.name=adamw"})
                .find("a.cfg:2: optimizer.nesterov = 'true': only with optimizer.name = sgd"),
            std::string::npos);
  for (const char* key : {"beta1", "beta2", "eps"})
    EXPECT_NE(error_of("", {"optimizer." + std::string(key) + "=0.5"})
                  .find("--set: optimizer." + std::string(key) +
                        " = '0.5': only with optimizer.name = adamw; here it is sgd"),
              std::string::npos);
  EXPECT_EQ(
      error_of("[optimizer]\nname = adam\n"),
      "a.cfg:2: optimizer.name = 'adam' is not valid; did you mean 'adamw'? Use sgd or adamw");

  const Job job = parse_job(
      "[optimizer]\nname = adamw\nlearning_rate = 0.001\nbeta1 = 0.8\nbeta2 = 0.99\neps = 1e-6\n"
      "weight_decay = 0.05\nclip_norm = 1\n",
      "a.cfg");
  EXPECT_EQ(job.optimizer.name, OptimizerKind::kAdamW);
  const std::string effective = to_ini(job);
  EXPECT_EQ(effective.find("\nmomentum ="), std::string::npos) << effective;
  const Job again = parse_job(effective, "effective.cfg");
  EXPECT_EQ(again.optimizer.name, OptimizerKind::kAdamW);
  EXPECT_EQ(again.optimizer.beta1, 0.8);
  EXPECT_EQ(again.optimizer.beta2, 0.99);
  EXPECT_EQ(again.optimizer.eps, 1e-6);
  EXPECT_EQ(to_ini(again), effective);
}

TEST(JobFile, WhatIsWrittenReadsBackAsTheSameJob) {
  Job job;
  job.run.name = "other";
  job.data.source = "folder";
  job.data.path = "a/b c";
  job.data.height = job.data.width = 224;
  job.augment.mean = {0.1f, 1.0f / 3, 0.7f};
  job.augment.std = {0.2f, 0.25f, 1e-3f};
  job.augment.flip = true;
  job.optimizer.learning_rate = 0.1 + 0.2;
  job.schedule.milestones = {1.0 / 3, 80};
  const Job again = parse_job(to_ini(job), "effective.cfg");
  EXPECT_EQ(to_ini(again), to_ini(job));
  EXPECT_EQ(again.optimizer.learning_rate, job.optimizer.learning_rate);
  EXPECT_EQ(again.augment.mean, job.augment.mean);
  EXPECT_EQ(again.schedule.milestones, job.schedule.milestones);
  EXPECT_EQ(again.data.path, job.data.path);
}

TEST(JobFile, HelpIsAJobFileThatExplainsEveryKey) {
  const std::string help = describe_job_keys();
  EXPECT_EQ(to_ini(parse_job(help, "help.cfg")), to_ini(Job{}));
  for (const JobKey& key : job_keys())
    EXPECT_NE(help.find(key.help), std::string::npos) << key.name;
}

TEST(JobFile, EveryDefaultIsValidAndNamesAreDistinct) {
  std::set<std::string> names;
  for (const JobKey& key : job_keys()) {
    Job job;
    EXPECT_TRUE(key.set(job, key.get(Job{}))) << key.name;
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
  }
}

TEST(JobFile, MissingFileAndDirectory) {
  try {
    load_job("nowhere/a.cfg");
    FAIL() << "no error";
  } catch (const MissingFileError& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kMissingFile);
    EXPECT_NE(std::string(error.what()).find("nowhere/a.cfg"), std::string::npos);
  }
  EXPECT_THROW(load_job(std::filesystem::temp_directory_path()), ConfigError);
}

TEST(JobFile, MayBeginWithAByteOrderMark) {
  EXPECT_EQ(parse_job("\xEF\xBB\xBF[train]\nbatch = 7\n", "a.cfg", {}).train.batch, 7);
}

}  // namespace
}  // namespace lockstep
