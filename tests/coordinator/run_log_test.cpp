#include "coordinator/run_log.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

namespace lockstep {
namespace {

/// What the log says while it lives.
class LogText {
 public:
  LogText() : before_(spdlog::default_logger()) {
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_st>(text_));
    logger->set_pattern("%v");
    spdlog::set_default_logger(logger);
  }
  ~LogText() { spdlog::set_default_logger(before_); }
  LogText(const LogText&) = delete;
  LogText& operator=(const LogText&) = delete;

  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST(RunLog, CountsWarningsOfAKindTogether) {
  const LogText log;
  RunLog run_log(true);
  for (const std::string what : {"a", "b", "c"}) run_log.on_warning(WarningKind::kSpike, what);
  run_log.on_warning(WarningKind::kStraggler, "late");
  EXPECT_EQ(log.text(), "a\nb (2 such warnings so far)\nlate\n");
  run_log.on_end();
  EXPECT_NE(log.text().find("3 such warnings"), std::string::npos) << log.text();
}

TEST(RunLog, SaysWhatComesOnceEachTime) {
  const LogText log;
  RunLog run_log(true);
  for (int i = 0; i < 3; ++i) run_log.on_warning(WarningKind::kOnce, "a");
  run_log.on_end();
  EXPECT_EQ(log.text(), "a\na\na\n");
}

TEST(RunLog, OneRankSpeaksForAll) {
  const LogText log;
  RunLog(true).on_rollback(5, 3);
  RunLog(false).on_rollback(5, 3);
  EXPECT_EQ(log.text(), "rolled back from step 5 to 3\n");
}

}  // namespace
}  // namespace lockstep
