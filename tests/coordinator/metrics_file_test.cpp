#include "coordinator/metrics_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "data/files.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

/// Files of this process may not grow beyond so many bytes while it lives: as if the disk were full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_ = {};
};

std::vector<std::int64_t> steps(const std::filesystem::path& path) {
  std::vector<std::int64_t> steps;
  std::istringstream lines(read_text_file(path, 1 << 20));
  for (std::string line; std::getline(lines, line);)
    steps.push_back(nlohmann::json::parse(line)["step"]);
  return steps;
}

// Thousands of lines: what a lost one leaves behind in memory must not add up.
TEST(MetricsFile, LosesTheLinesOfAFullDiskAndNothingElse) {
  const TempFolder folder;
  const auto path = std::filesystem::path(folder.path()) / "metrics.jsonl";
  MetricsFile metrics(path, 0);
  metrics.on_step(StepMetrics{.step = 1, .step_seconds = 1});
  {
    const FullDisk full(600);
    for (int step = 2; step < 5000; ++step)
      metrics.on_step(StepMetrics{.step = step, .step_seconds = 1});
  }
  metrics.on_step(StepMetrics{.step = 5000, .step_seconds = 1});
  metrics.on_validation(ValidationMetrics{.step = 5000});
  const auto kept = steps(path);
  ASSERT_GE(kept.size(), 3u);
  EXPECT_LT(kept.size(), 8u);
  EXPECT_EQ(kept.front(), 1);
  EXPECT_EQ(kept.back(), 5000);
}

TEST(MetricsFile, GoesOnBehindTheLinesThatItKeeps) {
  const TempFolder folder;
  const auto path = std::filesystem::path(folder.path()) / "metrics.jsonl";
  for (const std::int64_t last : {0, 2}) {
    MetricsFile metrics(path, last);
    for (std::int64_t step = last + 1; step <= 4; ++step)
      metrics.on_step(StepMetrics{.step = step, .step_seconds = 1});
  }
  EXPECT_EQ(steps(path), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace lockstep
