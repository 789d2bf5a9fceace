// Trainer: when checkpoints are saved.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "coordinator/batches.h"
#include "coordinator/trainer.h"
#include "data/error.h"
#include "data/timing.h"

namespace lockstep {

/// A function of what checkpoints keep, so that a resumed run stops where an uninterrupted one does.
bool Trainer::no_longer_improves() const {
  if (job_.train.early_stopping == 0 || !where_.best_step) return false;
  const std::int64_t between =
      steps_per_epoch(data_.train_samples, job_.train.batch) * job_.train.validate_every;
  return where_.step - *where_.best_step >= between * job_.train.early_stopping;
}

bool Trainer::due_for_checkpoint() const {
  if (where_.step >= total_steps_ || where_.best_step == where_.step || no_longer_improves())
    return true;
  if (job_.checkpoint.mean_time_to_failure_s > 0) return false;  // the pacer says when
  if (job_.checkpoint.every_steps > 0) return where_.step % job_.checkpoint.every_steps == 0;
  return where_.cursor == 0;
}

void Trainer::save() {
  publish();  // an older one that is still being written
  const double begin = seconds_now();
  share_statistics();
  saved_ = saver_->start(where_);
  if (saved_) pacer_.save_began(begin, seconds_now() - begin);
  faults_.after_save();
}

void Trainer::publish() {
  if (!saver_->saving()) return;
  const double begin = seconds_now();
  saved_ = saver_->publish(metrics_.get());
  const bool first = pacer_.save_ended(seconds_now(), seconds_now() - begin);
  if (first && job_.checkpoint.mean_time_to_failure_s > 0 && world_.rank() == 0)
    spdlog::info("checkpoints every {:.3g} s from now on: one costs {:.2g} s", pacer_.interval_s(),
                 pacer_.cost_s());
}

/// Without SyncBN every replica has running statistics of its own; the first one's are the run's.
void Trainer::share_statistics() {
  if (job_.train.sync_bn || !works_) return;
  const std::span<float> mine = state().statistics();
  // if a rank is lost meanwhile, the others' stay whole
  std::vector<float> shared(mine.begin(), mine.end());
  replicas().broadcast(std::as_writable_bytes(std::span(shared)), 0, "statistics");
  std::ranges::copy(shared, mine.begin());
}

/// At the end of a training whose last checkpoint failed.
void Trainer::not_saved() const {
  if (!std::isfinite(last_step_.loss))
    throw HealthError(fmt::format(
        "{}: training has diverged (the last loss is {}); nothing was saved since. Start "
        "again from the newest checkpoint with a lower optimizer.learning_rate, and with "
        "health.on_nan = stop",
        run_directory_.string(), last_step_.loss));
  throw IoError(run_directory_.string() +
                ": the last checkpoint could not be saved (see above); "
                "make room and start again: training goes on from the one before");
}

}  // namespace lockstep
