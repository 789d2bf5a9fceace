// A whole training, in this process: what its observers are told.
#include "coordinator/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

using Words = std::vector<std::string>;

class Recorder : public RunObserver {
 public:
  explicit Recorder(Words& told) : told_(told) {}

  void on_step(const StepMetrics& m) override { say("step", m.step); }
  void on_validation(const ValidationMetrics& m) override { say("validation", m.step); }
  void on_checkpoint(std::int64_t step) override { say("checkpoint", step); }
  void on_rollback(std::int64_t from, std::int64_t to) override {
    say("rollback", from);
    say("to", to);
  }
  void on_end() override { told_.push_back("end"); }
  void sync() override { told_.push_back("sync"); }

 private:
  void say(const std::string& what, std::int64_t step) {
    told_.push_back(what + " " + std::to_string(step));
  }

  Words& told_;
};

/// A training in a directory that rank 0 makes; 3 steps an epoch.
class TrainerTest : public ::testing::Test {
 protected:
  TrainerTest() : world_(Communicator::world()) {
    if (world_.rank() == 0) folder_.emplace();
    job_.run.directory = folder_ ? folder_->path() : "";
    world_.broadcast(job_.run.directory, 0, "directory");
    job_.data.synthetic_samples = 24;
    job_.data.height = job_.data.width = 8;
    job_.model = {.family = "resnet", .depth = 8};
    job_.train.batch = 8;
    job_.train.epochs = 2;
    job_.parallel.threads = 1;
    job_.optimizer.learning_rate = 0.01;
  }

  struct Training {
    explicit Training(const TrainerTest& test, std::vector<Fault> injected = {})
        : directory(std::filesystem::path(test.job_.run.directory) / test.job_.run.name),
          watchdog({.enabled = false}, {.run_directory = directory}),
          faults(std::move(injected), directory, test.world_.rank()),
          trainer(test.job_, {}, test.world_, test.stop_, watchdog, faults) {}

    std::filesystem::path directory;
    Watchdog watchdog;
    FaultInjector faults;
    Trainer trainer;
  };

  /// What an observer on this rank is told of it.
  Words train(std::vector<Fault> injected = {}) {
    Words told;
    Training training(*this, std::move(injected));
    training.trainer.observers().add<Recorder>(told);
    EXPECT_EQ(training.trainer.run(), TrainingEnd::kDone);
    return told;
  }

  Communicator world_;
  Job job_;
  const volatile std::sig_atomic_t stop_ = 0;

 private:
  std::optional<TempFolder> folder_;
};

/// Without what comes when a checkpoint has been written, which is some steps after it began.
Words without_saves(const Words& told) {
  Words others;
  for (const std::string& word : told)
    if (word != "sync" && !word.starts_with("checkpoint")) others.push_back(word);
  return others;
}

bool in_order(const Words& told, const std::string& one, const std::string& other) {
  const auto first = std::ranges::find(told, one);
  return std::find(first, told.end(), other) != told.end();
}

TEST_F(TrainerTest, ObserversAreToldOfARunOnAllRanks) {
  const Words told = train();
  EXPECT_EQ(without_saves(told), (Words{"step 1", "step 2", "step 3", "validation 3", "step 4",
                                        "step 5", "step 6", "validation 6", "end"}));
  for (const std::string step : {"3", "6"}) {
    EXPECT_EQ(std::ranges::count(told, "checkpoint " + step), 1);
    EXPECT_TRUE(in_order(told, "validation " + step, "checkpoint " + step));
  }
  EXPECT_EQ(std::ranges::count(told, "sync"), world_.rank() == 0 ? 2 : 0);
  if (world_.rank() == 0) {
    EXPECT_TRUE(in_order(told, "validation 3", "sync"));
  }
}

TEST_F(TrainerTest, ObserversAreToldOfARollBack) {
  job_.health.on_nan = "rollback";
  const Words told = train({{.kind = FaultKind::kNan, .rank = 0, .step = 5}});
  EXPECT_EQ(without_saves(told),
            (Words{"step 1", "step 2", "step 3", "validation 3", "step 4", "step 5", "rollback 5",
                   "to 3", "step 4", "step 5", "step 6", "validation 6", "end"}));
}

// What stands beside a checkpoint is not on the disk: then the checkpoint is not there either.
TEST_F(TrainerTest, WithoutASyncThereIsNoCheckpoint) {
  struct Full : RunObserver {
    void sync() override { throw IoError("the disk is full"); }
  };
  Words told;
  {
    Training training(*this);
    training.trainer.observers().add<Full>();
    training.trainer.observers().add<Recorder>(told);
    EXPECT_THROW(training.trainer.run(), IoError);
  }
  EXPECT_EQ(told.back(), "end");  // all steps were done
  EXPECT_EQ(std::ranges::count_if(told, [](const auto& w) { return w.starts_with("checkpoint"); }),
            0);
  told = train();
  EXPECT_EQ(told.front(), "step 1");  // there was nothing to resume from
}

// Nothing is left to do, and that is the end.
TEST_F(TrainerTest, ATrainingThatWasFinishedHasNoSteps) {
  train();
  EXPECT_EQ(train(), Words{"end"});
}

}  // namespace
}  // namespace lockstep
