#include "coordinator/run_forecast.h"

#include <gtest/gtest.h>

#include "data/error.h"

namespace lockstep {
namespace {

StepMetrics step_of(double seconds, double waiting, double bytes) {
  StepMetrics m;
  m.step_seconds = seconds + 0.5;
  m.data_seconds = 0.5;  // waiting for data was not predicted
  m.times.compute = seconds * (1 - waiting);
  m.times.pipeline = seconds * waiting;
  m.times.bytes = bytes;
  return m;
}

TEST(RunForecast, ComparesMediansWithWhatWasExpected) {
  RunForecast forecast(
      {.base_bytes = 1 << 30, .step_seconds = 0.1, .waiting = 0.2, .step_bytes = 2 << 20});
  EXPECT_EQ(summary(forecast.compare(0)), "");
  for (const double seconds : {9.0, 9.0, 0.12, 0.11, 5.0})
    forecast.step(step_of(seconds, 0.25, 1 << 20));
  const Comparison c = forecast.compare(std::size_t{2} << 30);
  EXPECT_EQ(c.steps, 3u);
  EXPECT_EQ(c.memory.predicted, static_cast<double>(std::size_t{3} << 30));
  EXPECT_GT(c.memory.measured, 1 << 20);
  EXPECT_DOUBLE_EQ(c.computing.measured, 0.12);
  EXPECT_DOUBLE_EQ(c.waiting.measured, 0.25);
  EXPECT_DOUBLE_EQ(c.sent.measured, 1 << 20);
  const std::string text = details(c);
  EXPECT_NE(text.find("computing in a step, ms"), std::string::npos) << text;
  EXPECT_NE(text.find("waits for other stages, %"), std::string::npos) << text;
  EXPECT_NE(text.find("(medians of 3 steps)"), std::string::npos) << text;
}

// What a step waits for sums over ranks was not predicted.
TEST(RunForecast, ComparesLikeWithLike) {
  RunForecast forecast({.step_seconds = 0.1});
  StepMetrics m = step_of(0.15, 0, 0);
  m.times.sync_bn = 0.02;
  m.times.reduce = 0.03;
  for (int i = 0; i < 3; ++i) forecast.step(m);
  EXPECT_NEAR(forecast.compare(0).computing.measured, 0.1, 1e-9);
  EXPECT_NEAR(forecast.compare(0).step_seconds, 0.15, 1e-9);
}

TEST(RunForecast, IsOneShortLineForPeople) {
  Comparison c{.steps = 3,
               .memory = {367e6, 371e6},
               .computing = {0.0951, 0.0998},
               .waiting = {},
               .sent = {},
               .step_seconds = 0.10127};
  EXPECT_EQ(summary(c),
            "predicted / measured: 350.0 / 353.8 MiB a rank; computing 95.10 / 99.80 ms of a "
            "step's 101.3");
  c.computing.predicted = 0;  // no probe was made
  c.memory.predicted = 5e9;
  EXPECT_EQ(
      summary(c),
      "predicted / measured: 4.66 GiB / 353.8 MiB a rank; computing 99.80 ms of a step's 101.3");
  EXPECT_EQ(details(c).find("stages"), std::string::npos);
}

TEST(RunForecast, IsKeptAsJson) {
  const Comparison c{.steps = 3,
                     .memory = {367e6, 371e6},
                     .computing = {0.0951, 0.0998},
                     .waiting = {0.1, 0.2},
                     .sent = {5, 6},
                     .step_seconds = 0.1};
  EXPECT_EQ(details(comparison_from_json(to_json(c))), details(c));
  EXPECT_THROW(comparison_from_json("{}"), DataError);
  EXPECT_THROW(comparison_from_json("[1"), DataError);
}

TEST(RunForecast, KnowsHowMuchMemoryTheProcessHad) {
  const std::size_t before = peak_resident_bytes();
  EXPECT_GT(before, std::size_t{1} << 20);
  const std::vector<char> more(before + (std::size_t{64} << 20), 1);
  EXPECT_GT(peak_resident_bytes(), more.size());
}

}  // namespace
}  // namespace lockstep
