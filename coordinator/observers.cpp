#include "coordinator/observers.h"

#include "coordinator/forecast_report.h"
#include "coordinator/progress.h"
#include "coordinator/run_log.h"

namespace lockstep {

MetricsFile* register_observers(const RunContext& run, const RunCourse& course) {
  Observers& observers = run.observers;
  const bool first = run.place.first();
  MetricsFile* metrics = nullptr;
  if (first)
    metrics = &observers.add<MetricsFile>(run.directory.path() / "metrics.jsonl", course.where.step,
                                          course.phase != RunPhase::kFinishing);
  if (first) observers.add<Progress>(course.total_steps, run.job.run.log_every_s);
  observers.add<RunLog>(first);
  observers.add<ForecastReport>(run.place, run.model, run.directory.path());
  return metrics;
}

}  // namespace lockstep
