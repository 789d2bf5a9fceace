// How a training is stopped: politely, by Ctrl-C, and what is said of it.
#include <gtest/gtest.h>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

constexpr const char* kJob =
    "[run]\nname = r\n[data]\nsource = synthetic\nsynthetic_samples = 64\n[model]\ndepth = 8\n"
    "[train]\nepochs = 100000\nbatch = 16\nvalidate_every = 0\n";

class StopCommand : public ::testing::Test {
 protected:
  void SetUp() override { room_.write("a.cfg", kJob); }

  /// `lockstep train` in the background; `then` happens when it has taken steps. Ends with the training's exit code.
  ProgramResult train_until(const std::string& then) const {
    const std::string lockstep = LOCKSTEP_PROGRAM;
    room_.write(
        "run.sh",
        "set -m\nrm -f runs/r/metrics.jsonl\n" + lockstep +
            " train a.cfg & training=$!\n"
            "until [ -s runs/r/metrics.jsonl ] || ! kill -0 $training; do sleep 0.05; done\n" +
            then + "\nwait $training\n");
    return room_.run("--version && timeout 60 bash run.sh");
  }

  ProgramRoom room_;
};

TEST_F(StopCommand, FinishesTheStepSavesAndEndsWithZero) {
  const ProgramResult stopped = train_until(std::string(LOCKSTEP_PROGRAM) + " stop runs/r");
  EXPECT_EQ(stopped.exit_code, 0) << stopped.errors;
  EXPECT_TRUE(stopped.says("runs/r: asked process")) << stopped.output;
  EXPECT_TRUE(stopped.complains("stopped as asked at step")) << stopped.errors;
  EXPECT_FALSE(std::filesystem::exists(room_.directory() / "runs/r/stop"));
  EXPECT_FALSE(std::filesystem::is_empty(room_.directory() / "runs/r/checkpoints"));
  const ProgramResult again = room_.run("train a.cfg --set train.max_steps=1");
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_TRUE(again.complains("finished at step")) << again.errors;  // it has taken more than one
  const ProgramResult late = room_.run("stop runs/r");
  EXPECT_EQ(late.exit_code, 64);
  EXPECT_TRUE(late.complains("nothing trains there"));
}

TEST_F(StopCommand, ATrainingGoesOnThoughAnEarlierOneWasAsked) {
  room_.write("old.sh", "mkdir -p runs/r && touch -d '10 minutes ago' runs/r/stop\n");
  const ProgramResult result = room_.run("--version && bash old.sh && " LOCKSTEP_PROGRAM
                                         " train a.cfg --set train.max_steps=3");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.complains("removed runs/r/stop, which was left")) << result.errors;
  EXPECT_FALSE(result.complains("stopped as asked")) << result.errors;
}

TEST_F(StopCommand, RanksThatLaunchHasStartedStopTogether) {
  for (const char* coordinator : {"worker", "dedicated"}) {
    room_.write(
        "train.sh",
        "rm -rf runs/r; " LOCKSTEP_PROGRAM
        " launch -n 2 --threads 1 train a.cfg "
        "--set parallel.coordinator=" +
            std::string(coordinator) +
            " & training=$!\n"
            "until [ -s runs/r/metrics.jsonl ] || ! kill -0 $training; do sleep 0.05; done\n"
            "touch runs/r/stop\nwait $training\n");
    const ProgramResult stopped = room_.run("--version && timeout 60 bash train.sh");
    EXPECT_EQ(stopped.exit_code, 0) << stopped.errors;
    EXPECT_TRUE(stopped.complains("stopped as asked at step")) << stopped.errors;
    EXPECT_FALSE(stopped.complains("starting again")) << stopped.errors;
    EXPECT_FALSE(std::filesystem::exists(room_.directory() / "runs/r/stop"));
    EXPECT_FALSE(std::filesystem::is_empty(room_.directory() / "runs/r/checkpoints"));
  }
}

TEST_F(StopCommand, RefusesWhatIsNoRun) {
  EXPECT_EQ(room_.run("stop").exit_code, 64);
  const ProgramResult result = room_.run("stop nowhere");
  EXPECT_EQ(result.exit_code, 66);
  EXPECT_TRUE(result.complains("nowhere is not the directory of a run"));
}

TEST_F(StopCommand, CtrlCSavesAndHangUpToo) {
  for (const char* signal : {"INT", "HUP"}) {
    const ProgramResult stopped = train_until(std::string("kill -") + signal + " $training");
    EXPECT_EQ(stopped.exit_code, 75) << stopped.errors;
    EXPECT_TRUE(stopped.complains("stopped by a signal at step")) << stopped.errors;
    EXPECT_EQ(stopped.complains("interrupted: finishes the step and saves"), signal[0] == 'I')
        << stopped.errors;
  }
}

}  // namespace
}  // namespace lockstep
