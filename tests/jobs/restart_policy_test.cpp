#include "jobs/restart_policy.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr int kKilled = 128 + 9;

Ending killed(std::int64_t step, std::int64_t checkpoint = 0) {
  return {.exit_code = kKilled, .reached = {step, checkpoint}};
}

TEST(RestartPolicy, DoneAndRequeueAreNoFailures) {
  RestartPolicy policy({}, {});
  for (int code : {0, 75}) {
    const RestartDecision decision = policy.after({.exit_code = code});
    EXPECT_FALSE(decision.restart);
    EXPECT_EQ(decision.why, "");
  }
}

TEST(RestartPolicy, AnyNumberOfFailuresWithProgressBetweenThem) {
  RestartPolicy policy({.most_failures = 2}, {});
  for (int step = 1; step <= 100; ++step) {
    const RestartDecision decision = policy.after(killed(step));
    EXPECT_TRUE(decision.restart) << step;
    EXPECT_EQ(decision.wait_s, 0) << step;
  }
}

TEST(RestartPolicy, ACheckpointIsProgressEvenIfNoStepIs) {
  RestartPolicy policy({.most_failures = 1}, {.step = 10, .checkpoint = 6});
  EXPECT_TRUE(policy.after(killed(10, 8)).restart);
  EXPECT_TRUE(policy.after(killed(10, 10)).restart);
  EXPECT_TRUE(policy.after(killed(10, 10)).restart);
  EXPECT_FALSE(policy.after(killed(10, 10)).restart);
}

TEST(RestartPolicy, WithoutProgressItWaitsLongerEachTimeAndGivesUp) {
  RestartPolicy policy({.most_failures = 5, .first_wait_s = 1, .longest_wait_s = 5}, {.step = 7});
  for (double wait : {0, 1, 2, 4, 5}) {
    const RestartDecision decision = policy.after(killed(7));
    EXPECT_TRUE(decision.restart);
    EXPECT_EQ(decision.wait_s, wait);
  }
  EXPECT_FALSE(policy.after(killed(7)).restart);
}

TEST(RestartPolicy, StepsThatAreDoneAgainAreNoProgress) {
  RestartPolicy policy({.most_failures = 2}, {});
  EXPECT_TRUE(policy.after(killed(50, 40)).restart);
  EXPECT_TRUE(policy.after(killed(45, 40)).restart);
  EXPECT_TRUE(policy.after(killed(49, 40)).restart);
  EXPECT_FALSE(policy.after(killed(50, 40)).restart);
}

TEST(RestartPolicy, ZeroFailuresAreNone) {
  RestartPolicy policy({.most_failures = 0}, {});
  EXPECT_FALSE(policy.after(killed(100, 100)).restart);
}

TEST(RestartPolicy, TheSameErrorAtTheSameStepEndsIt) {
  const Ending ending{.exit_code = 70, .words = "rank 1: internal error", .reached = {.step = 12}};
  RestartPolicy policy({}, {});
  EXPECT_TRUE(policy.after(ending).restart);
  const RestartDecision again = policy.after(ending);
  EXPECT_FALSE(again.restart);
  EXPECT_NE(again.why.find("twice in the same way after step 12"), std::string::npos) << again.why;
}

TEST(RestartPolicy, AnotherStepOrErrorOrACrashFromOutsideIsNotTheSame) {
  const Ending first{.exit_code = 70, .words = "a", .reached = {.step = 12}};
  for (const Ending& second : {Ending{70, "b", {.step = 12}}, Ending{70, "a", {.step = 13}},
                               Ending{74, "a", {.step = 12}}}) {
    RestartPolicy policy({}, {});
    EXPECT_TRUE(policy.after(first).restart);
    EXPECT_TRUE(policy.after(second).restart);
  }
  RestartPolicy policy({}, {});
  EXPECT_TRUE(policy.after(killed(12)).restart);
  EXPECT_TRUE(policy.after(killed(12)).restart);
}

TEST(RestartPolicy, ACrashTwiceAtTheSameStepEndsIt) {
  const Ending crash{.exit_code = 128 + 11, .reached = {.step = 3}};
  RestartPolicy policy({}, {});
  EXPECT_TRUE(policy.after(crash).restart);
  EXPECT_FALSE(policy.after(crash).restart);
}

TEST(RestartPolicy, WrongDataEndItUnlessTheTrainingHadBegun) {
  for (int code : {65, 66}) {
    RestartPolicy fresh({}, {.step = 10}), begun({}, {.step = 10});
    EXPECT_FALSE(fresh.after({.exit_code = code, .reached = {.step = 10}}).restart);
    EXPECT_TRUE(begun.after(killed(11)).restart);
    EXPECT_TRUE(begun.after({.exit_code = code, .reached = {.step = 11}}).restart);
  }
}

// Also if there is progress: of the job that has the directory.
TEST(RestartPolicy, AWrongJobAlwaysEndsIt) {
  RestartPolicy policy({}, {.step = 10});
  EXPECT_FALSE(policy.after({.exit_code = 64, .reached = {.step = 20}}).restart);
  EXPECT_FALSE(policy.after({.exit_code = 77, .reached = {.step = 30}}).restart);
}

TEST(RestartPolicy, SignalsAreNamed) {
  EXPECT_EQ(describe_exit_code(kKilled), "killed by signal 9 (Killed)");
  EXPECT_EQ(describe_exit_code(70), "exit code 70");
  EXPECT_EQ(describe_exit_code(255), "exit code 255");
}

}  // namespace
}  // namespace lockstep
