#include "coordinator/trainer.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/observers.h"
#include "coordinator/shard_log.h"
#include "data/error.h"
#include "data/timing.h"

namespace lockstep {

namespace {

JobData open_data(const Job& job, const RankPlace& place) {
  JobData data = open_job_data(job, place.world);
  if (place.world.size() == place.first_worker)
    throw ConfigError("parallel.coordinator = dedicated needs at least 2 ranks; use worker");
  check_shares(job, data.train_samples, place.grid.replicas());
  return data;
}

void warn_of_batch_and_rate(const Job& job, const RankPlace& place, const Graph& graph) {
  const bool sync_bn = job.train.sync_bn;
  const std::int64_t images = job.train.batch / job.train.micro_batches;
  for (const std::string& warning :
       {small_batch_warning(graph, sync_bn ? images : images / place.grid.replicas(), sync_bn),
        large_batch_warning(job.optimizer, job.train.batch), optimizer_rate_warning(job.optimizer)})
    if (!warning.empty()) spdlog::warn("{}", warning);
}

}  // namespace

Trainer::Trainer(const Job& job, const RunStart& run_start, const Communicator& world,
                 const volatile std::sig_atomic_t& stop, Watchdog& watchdog, FaultInjector& faults,
                 Recovery* recovery)
    : place_(job.parallel, world),
      data_(open_data(job, place_)),
      directory_(job.run),
      run_{job, place_, data_, model_, directory_, observers_, watchdog, faults, seconds_now()},
      course_(job, data_.train_samples),
      resume_(run_, recovery),
      model_(job, data_, place_, directory_.path()),
      health_(job.health, place_.works ? &model_.state() : nullptr, job.train.micro_batches,
              job.parallel.on_rank_lost == "shrink"),
      steps_(run_, health_),
      validation_(run_),
      checkpoints_(run_),
      boundary_(run_, health_, checkpoints_, stop) {
  if (place_.first()) log_shards(job, data_, place_.grid.replicas());
  if (!place_.loads()) close_data(data_);
  resume_.load(course_);
  resume_.record(run_start, course_);
  metrics_ = register_observers(run_, course_);
  resume_.complete(metrics_, course_);
  remember_steps(metrics_, world, health_);
  if (place_.first()) warn_of_batch_and_rate(job, place_, model_.state().graph());
  model_.compare_plans();
}

TrainingEnd Trainer::run() {
  Next next = finish_carried_step();
  for (bool goes_on = next != Next::kStop; goes_on; goes_on = next == Next::kRollBack) {
    if (next == Next::kRollBack) roll_back();
    steps_.begin(course_.where);
    next = train();
  }
  if (place_.first() && course_.no_longer_improves())
    spdlog::info("early stopping: {} validations without improvement",
                 run_.job.train.early_stopping);
  resume_.report(course_, metrics_);
  observers_.on_end();
  checkpoints_.publish();
  checkpoints_.check_saved(course_.last_step);
  return end();
}

/// Until the training is over, or has to go back.
Next Trainer::train() {
  Next next = Next::kGoOn;
  while (next == Next::kGoOn && !course_.ended()) {
    steps_.step(course_);
    observers_.on_step(course_.last_step);
    resume_.report(course_, metrics_);
    next = finish_step();
  }
  return next;
}

/// What comes after its update.
Next Trainer::finish_step() {
  if (course_.ends_epoch()) validation_.end_epoch(course_);
  const Next next = boundary_.agree(course_);
  course_.phase = RunPhase::kBetween;
  return next;
}

/// What was to come after the step that survivors bring along, and may not have been.
Next Trainer::finish_carried_step() {
  const bool carried = resume_.carried(), owes_save = resume_.owes_save();
  resume_.go_on();
  if (!carried) return Next::kGoOn;
  if (course_.phase == RunPhase::kFinishing) return finish_step();
  if (owes_save) checkpoints_.save(course_.where);
  return Next::kGoOn;
}

/// To the newest good checkpoint, or the beginning, as a new start would.
void Trainer::roll_back() {
  const std::int64_t from = course_.where.step;
  run_.watchdog.enter(Activity::kStart, from);
  checkpoints_.publish();
  course_.phase = RunPhase::kLoading;
  steps_.end();
  resume_.load_again(course_);
  observers_.on_rollback(from, course_.where.step);
  remember_steps(metrics_, place_.world, health_);
  course_.phase = RunPhase::kBetween;
}

TrainingEnd Trainer::end() const {
  const StopWish wish = boundary_.stop_wish();
  if (wish == StopWish::kFile && place_.first()) directory_.take_stop_file();
  if (wish == StopWish::kNobody || course_.at_last_step()) return TrainingEnd::kDone;
  return wish == StopWish::kFile ? TrainingEnd::kStoppedAsAsked : TrainingEnd::kStoppedBySignal;
}

/// After a rank was lost: what this one holds. No communication.
void Trainer::carry_into(Recovery& recovery) {
  const bool works = place_.works;
  recovery.mine.reset();
  // One that only coordinates is ahead of those that compute.
  recovery.reached = std::max(recovery.reached, works ? course_.where.step : course_.started_at);
  if (!works || place_.staged() || course_.phase == RunPhase::kLoading) return;
  if (course_.phase == RunPhase::kStepping ||
      (course_.phase == RunPhase::kFinishing && course_.last_step.held))
    health_.undo_step();
  recovery.mine = carry(model_.state(), course_.where);
  recovery.mine->finished = course_.phase != RunPhase::kFinishing;
  recovery.mine->last = course_.last_step;
  recovery.mine->validation = course_.last_validation;
  recovery.mine->saving_step =
      resume_.owes_save() ? course_.where.step : checkpoints_.saving_step().value_or(-1);
}

}  // namespace lockstep
