#include "coordinator/run_forecast.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/plan/memory_report.h"
#include "coordinator/plan/report_text.h"
#include "coordinator/stages/pipeline_forecast.h"
#include "data/error.h"
#include "data/number_text.h"
#include "data/timing.h"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSkipped = 2;
// 1.5 MiB; the median of so many is as good as that of more
constexpr std::size_t kMostSteps = 1 << 16;

std::size_t bytes_of(double value) { return static_cast<std::size_t>(std::max(0.0, value)); }

/// "367 / 371 MiB": the unit once where it is the same.
std::string sizes(const Pair& pair) {
  const std::string predicted = in_units(bytes_of(pair.predicted)),
                    measured = in_units(bytes_of(pair.measured));
  const std::size_t unit = predicted.find(' ');
  const bool same =
      predicted.substr(unit) == measured.substr(std::min(measured.find(' '), measured.size()));
  return (same ? predicted.substr(0, unit) : predicted) + " / " + measured;
}

}  // namespace

Expected expect(const JobEngine& made, int stage) {
  Expected expected{.planned_bytes = made.planned_bytes, .step_seconds = made.predicted_seconds};
  if (made.pipeline) {
    const PipelineForecast forecast =
        lockstep::forecast(made.pipeline->pipeline, made.pipeline->times);
    expected.waiting = 1 - forecast.busy[static_cast<std::size_t>(stage)] / forecast.seconds;
  }
  const RankPlan& plan = made.engine->plan();
  const Traffic& traffic = plan.traffic;
  if (plan.options.replicas > 1 || made.pipeline)
    expected.step_bytes = traffic.gradient_bytes() + traffic.sync_bytes + traffic.loss_bytes +
                          traffic.stage_bytes_sent;
  return expected;
}

RunForecast::RunForecast(const Expected& expected) : expected_(expected) {
  for (auto* values : {&seconds_, &computing_, &waiting_, &bytes_}) values->reserve(kMostSteps);
}

void RunForecast::step(const StepMetrics& m) {
  if (skipped_++ < kSkipped || seconds_.size() == kMostSteps) return;
  const double seconds = m.step_seconds - m.data_seconds;
  seconds_.push_back(seconds);
  computing_.push_back(seconds - m.times.sync_bn - m.times.reduce);
  waiting_.push_back(m.times.pipeline / std::max(m.times.total(), 1e-9));
  bytes_.push_back(static_cast<double>(m.times.bytes));
}

Comparison RunForecast::compare(std::size_t planned_bytes) const {
  if (seconds_.empty()) return {};
  Comparison c{.steps = seconds_.size()};
  c.memory = {static_cast<double>(expected_.base_bytes + planned_bytes),
              static_cast<double>(peak_resident_bytes())};
  c.computing = {expected_.step_seconds, median(computing_)};
  if (expected_.waiting > 0) c.waiting = {expected_.waiting, median(waiting_)};
  if (expected_.step_bytes > 0)
    c.sent = {static_cast<double>(expected_.step_bytes), median(bytes_)};
  c.step_seconds = median(seconds_);
  return c;
}

std::string summary(const Comparison& c) {
  if (c.steps == 0) return "";
  std::string text = "predicted / measured: " + sizes(c.memory) + " a rank; computing ";
  if (c.computing.predicted > 0) text += four_digits(1e3 * c.computing.predicted) + " / ";
  return text + four_digits(1e3 * c.computing.measured) + " ms of a step's " +
         four_digits(1e3 * c.step_seconds);
}

std::string to_json(const Comparison& c) {
  const auto pair = [](const Pair& p) {
    return Json{{"predicted", p.predicted}, {"measured", p.measured}};
  };
  return Json{{"steps", c.steps},
              {"memory_bytes", pair(c.memory)},
              {"computing_seconds", pair(c.computing)},
              {"waiting_for_stages", pair(c.waiting)},
              {"bytes_sent", pair(c.sent)},
              {"step_seconds", c.step_seconds}}
             .dump(2) +
         "\n";
}

Comparison comparison_from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    const auto pair = [&](const char* name) {
      return Pair{json.at(name).at("predicted").get<double>(),
                  json.at(name).at("measured").get<double>()};
    };
    return {.steps = json.at("steps").get<std::size_t>(),
            .memory = pair("memory_bytes"),
            .computing = pair("computing_seconds"),
            .waiting = pair("waiting_for_stages"),
            .sent = pair("bytes_sent"),
            .step_seconds = json.at("step_seconds").get<double>()};
  } catch (const Json::exception& error) {
    throw DataError(std::string("not a forecast of a run: ") + error.what());
  }
}

std::string details(const Comparison& c) {
  const auto line = [](const char* what, const std::string& predicted,
                       const std::string& measured) {
    return std::vector<std::string>{what, predicted, measured};
  };
  const auto predicted = [](double value, const std::string& text) {
    return value > 0 ? text : "-";
  };
  std::vector<std::vector<std::string>> lines{line("of the first worker", "predicted", "measured")};
  lines.push_back(line("memory: program, MPI, samples held, plan",
                       in_units(bytes_of(c.memory.predicted)),
                       in_units(bytes_of(c.memory.measured))));
  lines.push_back(line("computing in a step, ms",
                       predicted(c.computing.predicted, four_digits(1e3 * c.computing.predicted)),
                       four_digits(1e3 * c.computing.measured)));
  lines.push_back(
      line("step, ms, without waiting for data", "-", four_digits(1e3 * c.step_seconds)));
  if (c.waiting.predicted > 0)
    lines.push_back(line("waits for other stages, %", four_digits(100 * c.waiting.predicted),
                         four_digits(100 * c.waiting.measured)));
  if (c.sent.predicted > 0)
    lines.push_back(line("sent in a step", in_units(bytes_of(c.sent.predicted)),
                         in_units(bytes_of(c.sent.measured))));
  return columns(lines, 2) + "  (medians of " + std::to_string(c.steps) + " steps)\n";
}

std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t pages = 0, resident = 0;
  return in >> pages >> resident ? resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<std::size_t>(usage.ru_maxrss) << 10 : 0;
}

}  // namespace lockstep
