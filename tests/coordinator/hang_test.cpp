#include "coordinator/health/hang.h"

#include <gtest/gtest.h>

#include "coordinator/health/watchdog.h"
#include "data/error.h"

namespace lockstep {
namespace {

HangOperation left(std::uint64_t sequence, const std::string& name,
                   const std::string& group = "world") {
  return {.group = group,
          .kind = "all_reduce",
          .name = name,
          .sequence = sequence,
          .bytes = 8,
          .entered_s = 31,
          .left_s = 30.5};
}

HangOperation waits(std::uint64_t sequence, const std::string& name,
                    const std::string& group = "world") {
  HangOperation op = left(sequence, name, group);
  op.left_s = -1;
  return op;
}

HangReport report(int rank, std::vector<HangOperation> operations) {
  return {.rank = rank,
          .host = "n" + std::to_string(rank),
          .process = 100 + rank,
          .activity = "step",
          .step = 12,
          .activity_s = 30,
          .operations = std::move(operations)};
}

void expect_words(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nin: " << text;
}

TEST(Hang, ARankWithoutAReportIsNamed) {
  const std::vector<HangReport> reports{report(0, {left(1, "a"), waits(2, "b")}),
                                        report(2, {waits(2, "b")})};
  expect_words(blame(reports, 3),
               {"rank 1 does not answer", "rank 0 waits in world #2 all_reduce \"b\""});
  expect_words(blame(reports, 5), {"ranks 1, 3 and 4 do not answer"});
}

TEST(Hang, ARankThatDoesNotComeIsNamedWithWhatItMisses) {
  const std::vector<HangReport> reports{report(0, {left(6, "a"), waits(7, "step boundary")}),
                                        report(1, {left(6, "a")}),
                                        report(2, {left(6, "a"), waits(7, "step boundary")})};
  expect_words(
      blame(reports, 3),
      {"rank 1 (process 101 on n1; activity: step, steps done: 12)",
       "has not entered world #7 all_reduce \"step boundary\" (8 bytes)", "in which rank 0 waits"});
}

// Rank 2 is blamed, although rank 1 is behind in "world" too: it waits for rank 2 itself.
TEST(Hang, ARankThatWaitsItselfIsNotToBlame) {
  const std::vector<HangReport> reports{
      report(0, {left(6, "a"), left(20, "bn", "pair"), waits(7, "step boundary")}),
      report(1, {left(6, "a"), left(20, "bn", "pair"), waits(21, "bn", "pair")}),
      report(2, {left(6, "a"), left(20, "bn", "pair")})};
  expect_words(blame(reports, 3), {"rank 2 (", "has not entered"});
}

TEST(Hang, RanksThatWentDifferentWays) {
  expect_words(blame(std::vector{report(0, {waits(7, "a")}), report(1, {waits(7, "b")})}, 2),
               {"rank 0 waits in world #7 all_reduce \"a\"", "rank 1 in world #7 all_reduce \"b\"",
                "different ways"});
}

TEST(Hang, AllInTheSame) {
  expect_words(blame(std::vector{report(0, {waits(7, "a")}), report(1, {waits(7, "a")})}, 2),
               {"all ranks are in world #7", "network or MPI"});
}

TEST(Hang, NobodyWaits) {
  std::vector<HangReport> reports{report(0, {left(7, "a")}), report(1, {left(7, "a")})};
  reports[1].activity = "checkpoint";
  reports[1].activity_s = 900;
  expect_words(blame(reports, 2), {"rank 1 (", "activity: checkpoint", "file system"});
  expect_words(blame(std::vector{report(0, {})}, 1), {"rank 0 ("});
}

TEST(Hang, ReportsComeBack) {
  HangReport written = report(3, {left(1, "a \"quoted\" name"), waits(2, "b", "workers")});
  written.operations[1].peer = 4;
  const HangReport read = parse_hang_report(to_json(written));
  EXPECT_EQ(to_json(read), to_json(written));
  EXPECT_EQ(read.operations.size(), 2u);
  EXPECT_TRUE(read.operations[1].under_way());
  EXPECT_EQ(read.operations[1].peer, 4);
  EXPECT_THROW(parse_hang_report("{}"), DataError);
  EXPECT_THROW(parse_hang_report("{\"rank\": 1"), DataError);
}

TEST(Hang, OperationsOfALog) {
  CollectiveLog log;
  log.end(log.begin(CollectiveKind::kBarrier, 5, 0, "done", "world"));
  log.begin(CollectiveKind::kRecv, 5, 64, "samples", "world", 3);
  const auto operations = operations_of(log);
  ASSERT_EQ(operations.size(), 2u);
  EXPECT_FALSE(operations[0].under_way());
  EXPECT_EQ(operations[0].sequence, 5u);
  EXPECT_TRUE(operations[1].under_way());
  EXPECT_EQ(operations[1].sequence, 0u);
  EXPECT_EQ(operations[1].peer, 3);
}

TEST(Watchdog, DeadlinesFollowMeasuredSteps) {
  const WatchdogOptions options{.start_s = 600, .checkpoint_s = 900};
  EXPECT_EQ(deadline_of(Activity::kStart, options, 0, 1), 600);
  EXPECT_EQ(deadline_of(Activity::kStep, options, 0, 1), 600);  // the first step
  EXPECT_EQ(deadline_of(Activity::kStep, options, 0.01, 1), 60);
  EXPECT_EQ(deadline_of(Activity::kStep, options, 10, 1), 200);
  EXPECT_EQ(deadline_of(Activity::kCheckpoint, options, 10, 1), 900);
  EXPECT_EQ(deadline_of(Activity::kValidation, options, 10, 50), 600 + 50 * 200);
  EXPECT_EQ(deadline_of(Activity::kStep, {.step_s = 5}, 10, 1), 5);
}

}  // namespace
}  // namespace lockstep
