#pragma once
#include <filesystem>
#include <optional>

#include "coordinator/rank_model.h"
#include "coordinator/rank_place.h"
#include "coordinator/run_forecast.h"
#include "coordinator/run_observer.h"

namespace lockstep {

/// Says at the end of a training what was predicted of the first worker beside what came, and keeps it in the run
/// directory. On all ranks: a rank that only coordinates is told of it.
class ForecastReport : public RunObserver {
 public:
  /// `place` and `model` must outlive it.
  ForecastReport(const RankPlace& place, RankModel& model, std::filesystem::path run_directory);

  void on_step(const StepMetrics& metrics) override;
  void on_end() override;

 private:
  const RankPlace& place_;
  RankModel& model_;
  std::filesystem::path run_directory_;
  std::optional<RunForecast> forecast_;  // of a rank that works
};

}  // namespace lockstep
