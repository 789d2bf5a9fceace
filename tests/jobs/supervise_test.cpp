// The supervisor with scripts in the place of mpirun: each start does what a training did that ended so.
#include "jobs/supervise.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// The script sees the number of its start as $start, and `step N` writes a line of metrics.
constexpr const char* kPrologue = R"(
cd "$0" || exit 99
echo start >>starts
start=$(wc -l <starts)
step() { echo "{\"step\":$1,\"step_ms\":1}" >>run/metrics.jsonl; }
)";

class Supervise : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directory(room_.directory() / "run"); }

  LaunchPlan plan(const std::string& script) const {
    // mpirun is started with SIGUSR1 ignored, which bash could not change.
    return {{},
            {"/usr/bin/env", "--default-signal=USR1", "bash", "-c", kPrologue + script,
             room_.directory().string(), "train"}};
  }

  /// In a process of its own, as the program does it: it changes how signals are handled.
  pid_t start(const std::string& script, int most_failures = 2, bool begins_anew = false) const {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    if (!freopen((room_.directory() / "err").c_str(), "w", stderr)) _exit(98);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    SuperviseOptions options{.run_directory = room_.directory() / "run",
                             .begins_anew = begins_anew};
    options.restarts = {.most_failures = most_failures, .first_wait_s = 0.01};
    _exit(supervise(plan(script), options));
  }

  static int wait(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  int run(const std::string& script, int most_failures = 2, bool begins_anew = false) const {
    return wait(start(script, most_failures, begins_anew));
  }

  std::ptrdiff_t starts() const {
    const std::string text = room_.read("starts");
    return std::count(text.begin(), text.end(), '\n');
  }

  bool said(const std::string& words) const {
    return room_.read("err").find(words) != std::string::npos;
  }

  void wait_for(const std::string& file) const {
    for (int i = 0; i < 2000 && !fs::exists(room_.directory() / file); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_TRUE(fs::exists(room_.directory() / file)) << room_.read("err");
  }

  ProgramRoom room_;
};

TEST_F(Supervise, CountsNoStepOfStartsThatDidNone) {
  EXPECT_EQ(run("mkdir -p run/checkpoints/step-00000004; "
                "case $start in 1) step 4; step 7; kill -9 $$;; 2|3) exit 7$start;; esac",
                5),
            0);
  EXPECT_EQ(starts(), 4);
  EXPECT_TRUE(said("3 steps will be done again")) << room_.read("err");
  EXPECT_TRUE(said("starting again from the checkpoint of step 4; no step was done"))
      << room_.read("err");
  EXPECT_TRUE(said("3 restarts, 3 steps done again (2 starts ended before their first step)"))
      << room_.read("err");
}

TEST_F(Supervise, StartsAgainUntilItIsDone) {
  EXPECT_EQ(run("step $start; [ $start = 4 ] || kill -9 $$"), 0);
  EXPECT_EQ(starts(), 4);
  EXPECT_TRUE(said("ended after step 3, killed by signal 9"));
  EXPECT_TRUE(said("3 restarts, 6 steps done again")) << room_.read("err");  // 1 + 2 + 3
}

TEST_F(Supervise, WithoutProgressItGivesUpWithTheLastCode) {
  EXPECT_EQ(run("step 5; kill -9 $$"), 137);
  EXPECT_EQ(starts(), 4);
  EXPECT_TRUE(said("more than 2 failures without progress"));
}

TEST_F(Supervise, TheSameErrorAtTheSameStepIsToldAndEndsIt) {
  EXPECT_EQ(run("echo 'lockstep: error: rank 1: group1.conv is wrong' >&2; exit 70"), 70);
  EXPECT_EQ(starts(), 2);
  EXPECT_TRUE(said("exit code 70: rank 1: group1.conv is wrong"));
  EXPECT_TRUE(said("twice in the same way after step 0"));
}

TEST_F(Supervise, RequeueAndAWrongJobPassThrough) {
  EXPECT_EQ(run("exit 75"), 75);
  EXPECT_EQ(run("exit 64"), 64);
  EXPECT_EQ(starts(), 2);
}

TEST_F(Supervise, OrphansAreGoneBeforeTheNextStart) {
  EXPECT_EQ(run(R"(
    if [ $start = 1 ]; then sleep 1000 & echo $! >orphan; kill -9 $$; fi
    kill -0 $(cat orphan) 2>/dev/null && exit 70
    exit 0)"),
            0);
  EXPECT_EQ(starts(), 2);
}

TEST_F(Supervise, ARunThatBeginsAnewDoesSoOnce) {
  EXPECT_EQ(run(R"(
    echo "$*" >>words
    [ $start = 1 ] && kill -9 $$   # before it has begun
    echo '[]' >run/environment.json
    [ $start = 2 ] && kill -9 $$
    exit 0)",
                2, true),
            0);
  EXPECT_EQ(room_.read("words"), "train\ntrain\ntrain --set run.resume=true\n");
}

TEST_F(Supervise, ASignalIsPassedOnAndRepeatedUntilItIsHeard) {
  for (int signal : {SIGTERM, SIGUSR1, SIGHUP, SIGINT}) {
    const pid_t pid = start(
        "trap '[ $((++heard)) = 2 ] && exit 75' USR1\n"
        "touch up; while :; do sleep 0.02; done");
    wait_for("up");
    kill(pid, signal);
    EXPECT_EQ(wait(pid), 75) << room_.read("err");
    EXPECT_EQ(said("interrupted: the ranks finish the step and save"), signal == SIGINT)
        << room_.read("err");
    fs::remove(room_.directory() / "up");
  }
  EXPECT_EQ(starts(), 4);
}

TEST_F(Supervise, RanksThatFailWhileStoppingAreNotStartedAgain) {
  const pid_t pid = start("trap 'kill -9 $$' USR1; touch up; while :; do sleep 0.02; done");
  wait_for("up");
  kill(pid, SIGTERM);
  EXPECT_EQ(wait(pid), 75);
  EXPECT_EQ(starts(), 1);
}

TEST_F(Supervise, OnlyASecondTermEndsTheRanksAtOnce) {
  const pid_t pid = start("trap 'touch heard' USR1; touch up; while :; do sleep 0.02; done");
  wait_for("up");
  for (int signal : {SIGUSR1, SIGUSR1, SIGTERM, SIGUSR1}) {
    kill(pid, signal);
    wait_for("heard");
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0);
    fs::remove(room_.directory() / "heard");
  }
  kill(pid, SIGTERM);
  EXPECT_EQ(wait(pid), 128 + SIGTERM);
}

TEST_F(Supervise, ASecondInterruptEndsTheRanksAtOnce) {
  const pid_t pid = start("trap 'touch heard' USR1; touch up; while :; do sleep 0.02; done");
  wait_for("up");
  kill(pid, SIGINT);
  wait_for("heard");
  EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0);
  kill(pid, SIGINT);
  EXPECT_EQ(wait(pid), 128 + SIGINT);
  EXPECT_TRUE(said("ends at once"));
  EXPECT_EQ(starts(), 1);
}

TEST_F(Supervise, RanksThatFailAreNotStartedAgainIfAskedToStop) {
  EXPECT_EQ(run("step 5; touch run/stop; kill -9 $$"), 0);
  EXPECT_EQ(starts(), 1);
  EXPECT_FALSE(fs::exists(room_.directory() / "run/stop"));
}

TEST_F(Supervise, AnErrorOfTheUsersIsSaidOnce) {
  EXPECT_EQ(run("echo 'lockstep: error: no data there' >&2; exit 66"), 66);
  EXPECT_EQ(room_.read("err"), "lockstep: error: no data there\n");
}

TEST_F(Supervise, RanksEndWithTheSupervisor) {
  const pid_t pid =
      start("trap 'touch ended; exit 1' TERM; touch up; while :; do sleep 0.02; done");
  wait_for("up");
  kill(pid, SIGKILL);
  wait(pid);
  wait_for("ended");
}

}  // namespace
}  // namespace lockstep
