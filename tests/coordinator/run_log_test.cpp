#include "coordinator/run_log.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>

namespace lockstep {
namespace {

/// What `work` says in the log, without times; spdlog's own logger writes to stdout.
template <typename Work>
std::string log_of(Work work) {
  testing::internal::CaptureStdout();
  work();
  std::fflush(stdout);
  std::istringstream lines(testing::internal::GetCapturedStdout());
  constexpr std::string_view kLevel = "[warning] ";
  std::string said;
  for (std::string line; std::getline(lines, line);)
    if (const auto at = line.find(kLevel); at != std::string::npos)
      said += line.substr(at + kLevel.size()) + "\n";
  return said;
}

TEST(RunLog, CountsWarningsOfAKindTogether) {
  RunLog run_log(true);
  EXPECT_EQ(log_of([&] {
              for (const char* what : {"a", "b", "c"})
                run_log.on_warning(WarningKind::kSpike, what);
              run_log.on_warning(WarningKind::kStraggler, "late");
            }),
            "a\nb (2 such warnings so far)\nlate\n");
  EXPECT_EQ(log_of([&] { run_log.on_end(); }), "c (3 such warnings in all)\n");
}

TEST(RunLog, SaysWhatComesOnceEachTime) {
  RunLog run_log(true);
  EXPECT_EQ(log_of([&] {
              for (int i = 0; i < 3; ++i) run_log.on_warning(WarningKind::kOnce, "a");
              run_log.on_end();
            }),
            "a\na\na\n");
}

TEST(RunLog, OneRankSpeaksForAll) {
  EXPECT_EQ(log_of([] { RunLog(true).on_rollback(5, 3); }), "rolled back from step 5 to 3\n");
  EXPECT_EQ(log_of([] { RunLog(false).on_rollback(5, 3); }), "");
}

}  // namespace
}  // namespace lockstep
