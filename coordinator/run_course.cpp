#include "coordinator/run_course.h"

#include <algorithm>

#include "worker/optimizer.h"

namespace lockstep {

void RunCourse::begin_epoch_where_due() {
  if (where.cursor < train_samples) return;
  ++where.epoch;
  where.cursor = 0;
}

void RunCourse::begin_where_left() {
  begin_epoch_where_due();  // the job may have fewer samples than before
  if (job.schedule.policy != "plateau") where.plateau = {};  // another one begins anew
  total_steps = last_of_all();
  started_at = where.step;
}

void RunCourse::advance(const Positions& positions, bool held) {
  ++where.step;
  if (held) ++where.slot_lag;
  where.cursor = positions.end;
  begin_epoch_where_due();
}

/// Where this run ends: what is left of its epochs from where it is, in steps of today's batch.
std::int64_t RunCourse::last_of_all() const {
  const std::int64_t per_epoch = steps_per_epoch(train_samples, job.train.batch);
  const std::int64_t whole = steps_of_epochs(job.train.epochs, train_samples, job.train.batch);
  const std::int64_t done =
      where.epoch * per_epoch + steps_per_epoch(where.cursor, job.train.batch);
  const std::int64_t last = where.step + std::max<std::int64_t>(0, whole - done);
  return job.train.max_steps > 0 ? std::min(last, job.train.max_steps) : last;
}

double RunCourse::fractional_epoch() const {
  return static_cast<double>(where.epoch) +
         static_cast<double>(where.cursor) / static_cast<double>(train_samples);
}

CurvePlace RunCourse::curve_place() const {
  const std::int64_t steps = steps_per_epoch(train_samples, job.train.batch);
  const std::int64_t last = train_samples - (steps - 1) * job.train.batch;
  return {.epoch = fractional_epoch(),
          .last_step = static_cast<double>(last) / static_cast<double>(train_samples),
          .train_epochs = job.train.epochs,
          .falls = where.plateau.falls};
}

double RunCourse::learning_rate() const {
  return scheduled_rate(job.optimizer, job.schedule, curve_place(), job.train.batch);
}

bool RunCourse::no_longer_improves() const {
  if (job.train.early_stopping == 0 || !where.best_step) return false;
  const std::int64_t between =
      steps_per_epoch(train_samples, job.train.batch) * job.train.validate_every;
  return where.step - *where.best_step >= between * job.train.early_stopping;
}

bool RunCourse::validation_due() const {
  return job.train.validate_every > 0 &&
         (where.epoch % job.train.validate_every == 0 || at_last_step());
}

bool RunCourse::checkpoint_due() const {
  if (at_last_step() || where.best_step == where.step || no_longer_improves()) return true;
  if (job.checkpoint.mean_time_to_failure_s > 0) return false;  // the pacer says when
  if (job.checkpoint.every_steps > 0) return where.step % job.checkpoint.every_steps == 0;
  return where.cursor == 0;
}

}  // namespace lockstep
