#include "coordinator/run_forecast.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "coordinator/plan/memory_report.h"
#include "coordinator/plan/report_text.h"
#include "coordinator/stages/pipeline_forecast.h"
#include "data/timing.h"

namespace lockstep {

namespace {

constexpr int kSkipped = 2;
constexpr std::size_t kMostSteps = 1 << 16;  // 1.5 MiB; the median of so many is as good as that of more

template <typename... Values>
std::string format(const char* how, Values... values) {
  std::array<char, 200> text{};
  std::snprintf(text.data(), text.size(), how, values...);
  return text.data();
}

}  // namespace

Expected expect(const JobEngine& made, int stage, int replicas, int micro_batches) {
  Expected expected{.step_seconds = made.predicted_seconds};
  if (made.pipeline) {
    const PipelineForecast forecast = lockstep::forecast(made.pipeline->pipeline, made.pipeline->times);
    expected.waiting = 1 - forecast.busy[static_cast<std::size_t>(stage)] / forecast.seconds;
  }
  // A pipeline's plan holds all micro-batches of a step.
  const Traffic traffic =
      step_traffic(made.engine->train_plan(), replicas, made.pipeline ? 1 : micro_batches);
  if (replicas > 1 || made.pipeline)
    expected.step_bytes = traffic.gradient_bytes() + traffic.sync_bytes + traffic.loss_bytes +
                          traffic.stage_bytes_sent;
  return expected;
}

RunForecast::RunForecast(const Expected& expected) : expected_(expected) {
  for (auto* values : {&seconds_, &waiting_, &bytes_}) values->reserve(kMostSteps);
}

void RunForecast::step(const StepMetrics& m) {
  if (skipped_++ < kSkipped || seconds_.size() == kMostSteps) return;
  seconds_.push_back(m.step_seconds - m.data_seconds);
  waiting_.push_back(m.times.pipeline / std::max(m.times.total(), 1e-9));
  bytes_.push_back(static_cast<double>(m.times.bytes));
}

std::string RunForecast::text(std::size_t planned_bytes) const {
  if (seconds_.empty()) return "";
  std::string text = "predicted / measured: memory of a rank " + in_units(planned_bytes) + " / " +
                     in_units(peak_resident_bytes()) + " resident at most";
  const double ms = 1e3 * median(seconds_);
  text += "; step ";
  if (expected_.step_seconds > 0) text += format("%.1f / ", 1e3 * expected_.step_seconds);
  text += format("%.1f ms (median of %zu%s)", ms, seconds_.size(),
                 expected_.step_seconds > 0 ? "" : "; no probe was made");
  if (expected_.waiting > 0)
    text += format("; waits for other stages %.1f%% / %.1f%%", 100 * expected_.waiting,
                   100 * median(waiting_));
  if (expected_.step_bytes > 0)
    text += "; given to all-reduces and stages in a step " + in_units(expected_.step_bytes) + " / " +
            in_units(static_cast<std::size_t>(median(bytes_)));
  return text;
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<std::size_t>(usage.ru_maxrss) << 10 : 0;
}

}  // namespace lockstep
