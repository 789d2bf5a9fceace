#include "coordinator/forecast_report.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {

ForecastReport::ForecastReport(const RankPlace& place, RankModel& model,
                               std::filesystem::path run_directory)
    : place_(place), model_(model), run_directory_(std::move(run_directory)) {
  if (model.expected()) forecast_.emplace(*model.expected());
}

void ForecastReport::on_step(const StepMetrics& metrics) {
  if (forecast_) forecast_->step(metrics);
}

void ForecastReport::on_end() {
  Comparison comparison;
  if (place_.first_to_work()) comparison = forecast_->compare(model_.expected()->planned_bytes);
  place_.share_with_coordinator(comparison, "forecast");
  if (!place_.first() || comparison.steps == 0) return;
  spdlog::info("{}", summary(comparison));
  try {
    write_file_durably(run_directory_ / kForecastFile, to_json(comparison));
  } catch (const IoError& error) {
    spdlog::warn(
        "forecast.json, which keeps these figures for lockstep inspect, cannot be written; the "
        "training is not touched by that: {}",
        error.what());
  }
}

}  // namespace lockstep
