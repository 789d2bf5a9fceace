#include "coordinator/run_checkpoints.h"

#include <spdlog/spdlog.h>

#include <cmath>

#include "data/error.h"
#include "data/timing.h"

namespace lockstep {

RunCheckpoints::RunCheckpoints(const RunContext& run)
    : run_(run),
      saver_(run.directory.checkpoints(), run.model.state(), run.place.world,
             run.place.first_worker,
             checkpoint_writers(run.model.state().graph(), run.model.state().optimizer(),
                                run.model.stage_of_ops(), run.place.grid, run.place.first_worker),
             run.job.checkpoint.keep),
      pacer_(run.job.checkpoint.mean_time_to_failure_s, 60 * run.job.checkpoint.every_minutes,
             end_of_job_s(), run.began_s) {}

bool RunCheckpoints::due_by_clock() const {
  return run_.place.first() && pacer_.due(seconds_now());
}

void RunCheckpoints::save(const TrainingState& where) {
  publish();
  const double begin = seconds_now();
  run_.model.share_statistics();
  saved_ = saver_.start(where);
  if (saved_) pacer_.save_began(begin, seconds_now() - begin);
  run_.faults.after_save();
}

void RunCheckpoints::publish() {
  const std::optional<std::int64_t> step = saver_.saving_step();
  if (!step) return;
  const double begin = seconds_now();
  saved_ = saver_.publish([this] { run_.observers.sync(); });
  const bool first = pacer_.save_ended(seconds_now(), seconds_now() - begin);
  if (saved_) run_.observers.on_checkpoint(*step);
  if (first && run_.job.checkpoint.mean_time_to_failure_s > 0 && run_.place.first())
    spdlog::info("checkpoints every {:.3g} s from now on: one costs {:.2g} s", pacer_.interval_s(),
                 pacer_.cost_s());
}

void RunCheckpoints::check_saved(const StepMetrics& last_step) const {
  if (saved_) return;
  const std::string directory = run_.directory.path().string();
  if (!std::isfinite(last_step.loss))
    throw HealthError(fmt::format(
        "{}: training has diverged (the last loss is {}); nothing was saved since. Start "
        "again from the newest checkpoint with a lower optimizer.learning_rate, and with "
        "health.on_nan = stop",
        directory, last_step.loss));
  throw IoError(directory +
                ": the last checkpoint could not be saved (see above); "
                "make room and start again: training goes on from the one before");
}

}  // namespace lockstep
