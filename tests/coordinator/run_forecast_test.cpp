#include "coordinator/run_forecast.h"

#include <gtest/gtest.h>

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

TEST(RunForecast, TellsMediansBesideWhatWasExpected) {
  RunForecast forecast({.step_seconds = 0.1, .waiting = 0.2, .step_bytes = 2 << 20});
  EXPECT_EQ(forecast.text(0), "");
  for (const double seconds : {9.0, 9.0, 0.12, 0.11, 5.0}) forecast.step(step_of(seconds, 0.25, 1 << 20));
  const std::string text = forecast.text(std::size_t{3} << 30);
  EXPECT_NE(text.find("memory of a rank 3.00 GiB / "), std::string::npos) << text;
  EXPECT_NE(text.find("step 100.0 / 120.0 ms (median of 3)"), std::string::npos) << text;
  EXPECT_NE(text.find("waits for other stages 20.0% / 25.0%"), std::string::npos) << text;
  EXPECT_NE(text.find("in a step 2.00 MiB / 1.00 MiB"), std::string::npos) << text;
}

TEST(RunForecast, SaysThatNothingWasExpected) {
  RunForecast forecast({});
  for (int i = 0; i < 3; ++i) forecast.step(step_of(0.2, 0, 0));
  const std::string text = forecast.text(1 << 20);
  EXPECT_NE(text.find("step 200.0 ms (median of 1; no probe was made)"), std::string::npos) << text;
  EXPECT_EQ(text.find("stages"), std::string::npos) << text;
}

TEST(RunForecast, KnowsHowMuchMemoryTheProcessHad) {
  const std::size_t before = peak_resident_bytes();
  EXPECT_GT(before, std::size_t{1} << 20);
  const std::vector<char> more(before + (std::size_t{64} << 20), 1);
  EXPECT_GT(peak_resident_bytes(), more.size());
}

}  // namespace
}  // namespace lockstep
