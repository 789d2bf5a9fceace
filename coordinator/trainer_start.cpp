// Trainer: how a training starts, anew, from a checkpoint, or with what survivors of a lost rank bring along.
#include <spdlog/spdlog.h>

#include <utility>

#include "coordinator/all_reduce_choice.h"
#include "coordinator/checkpoint_choice.h"
#include "coordinator/data_record.h"
#include "coordinator/engine_setup.h"
#include "coordinator/input_facts.h"
#include "coordinator/stages/stage_setup.h"
#include "coordinator/trainer.h"
#include "data/error.h"
#include "data/files.h"
#include "data/timing.h"
#include "layers/cpu/instruction_set.h"

namespace lockstep {

/// Keeps this start in the run directory, and says what has changed since the checkpoint.
void Trainer::record(const RunStart& as_given) {
  const InputFacts facts{.input = data_.input,
                         .mean = data_.augment.mean,
                         .std = data_.augment.std,
                         .resize = data_.augment.resize,
                         .class_names = data_.class_names,
                         .classes = data_.classes};
  const RunStart run_start{.job_text = with_input_facts(as_given.job_text, facts),
                           .command_line = as_given.command_line};
  RunEnvironment environment = collect_environment(world_, lanes_, activations_);
  environment.started_from = started_from(where_.details);
  environment.data = data_record_;
  const std::string details =
      details_with_input_facts(checkpoint_details(run_start, environment), facts);
  if (world_.rank() == 0) {
    if (where_.step > 0) tell_changes(details);
    record_start(run_directory_, run_start, environment);
    record_table(run_directory_, all_reduce_table_);
  }
  where_.details = details;
  where_.seed = job_.run.seed;
}

/// Refuses to go on, or warns, on other data than the checkpoint's training was on.
void Trainer::check_data() const {
  if (where_.step == 0 || carried_) return;
  const std::string before = data_record_of(where_.details);
  const bool speaks = world_.rank() == 0;
  if (before.empty() && speaks)
    spdlog::warn(
        "resuming: the checkpoint does not tell what data it was trained on (older versions did "
        "not write it): "
        "they are not compared");
  const std::vector<std::string> changes = data_changes(before, data_record_);
  if (!changes.empty() && job_.data.on_changed == "stop") {
    std::string all;
    for (const std::string& change : changes) all += (all.empty() ? "" : "; ") + change;
    throw DataError(run_directory_.string() +
                    ": the data are not those that it was trained on until step " +
                    std::to_string(where_.step) + ": " + all +
                    ". Bring back the old ones; or begin anew, with another "
                    "run.name; or set data.on_changed = warn, to go on with these");
  }
  if (!speaks) return;
  for (const std::string& change : changes) spdlog::warn("resuming on other data: {}", change);
}

/// Since the checkpoint that training resumes from.
void Trainer::tell_changes(const std::string& details) const {
  for (const std::string& change : changes_since(where_.details, details))
    spdlog::warn("resuming: {}", change);
  if (const std::string seeds = seed_change(where_, job_.run.seed); !seeds.empty())
    spdlog::warn("resuming: {}", seeds);
  const std::string jump = rate_jump(job_.optimizer, job_.schedule, curve_epochs(where_.details),
                                     curve_place(), job_.train.batch);
  if (!jump.empty()) spdlog::warn("resuming: {}", jump);
}

StartingPoint Trainer::starting_point(bool resume) const {
  return {.checkpoints = run_directory_ / "checkpoints",
          .resume = resume,
          .seed = job_.run.seed,
          .start_from = job_.run.start_from,
          .class_names = data_.class_names,
          .classes = data_.classes};
}

/// Before a run is set aside: what it is to begin with must exist, and not be set aside with it.
void Trainer::check_start_from() const {
  if (job_.run.start_from.empty()) return;
  const CheckpointChoice choice = parse_checkpoint_choice(job_.run.start_from);
  const std::filesystem::path found = open_checkpoint(choice, run_directory_).directory();
  const auto own = std::filesystem::weakly_canonical(run_directory_ / "checkpoints");
  if (std::filesystem::weakly_canonical(found).parent_path() == own)
    throw ConfigError("run.start_from = " + job_.run.start_from +
                      " is a checkpoint of this run, which run.resume = "
                      "false sets aside; use another run.name");
}

void Trainer::start(const RunStart& run_start) {
  const std::filesystem::path checkpoints = run_directory_ / "checkpoints";
  const bool goes_on = recovery_ && meet_survivors();
  if (world_.rank() == 0) {
    create_directories_durably(run_directory_);
    spdlog::info("run directory {}", run_directory_.string());
    // Of a rank 0 that is known to be dead it is taken over without much waiting.
    lock_ = std::make_unique<RunLock>(
        run_directory_, recovery_ ? RunLockOptions{.patience_s = 1} : RunLockOptions{});
    if (stop_file_.watch(run_directory_, recovery_ == nullptr))
      spdlog::info("removed {}, which was left from before this start",
                   stop_file(run_directory_).string());
    if (!job_.run.resume && !goes_on) {
      check_start_from();
      set_aside_run(run_directory_);
    }
    create_directories_durably(checkpoints);
  }
  if (giver_ >= 0)
    take_carried(checkpoints);
  else
    where_ =
        load_or_initialize(starting_point(job_.run.resume || goes_on), state(), world_, replicas());
  check_data();
  begin_where_left();
  record(run_start);
  const Graph& graph = state().graph();
  const std::vector<int> stages = staged() ? stage_of_ops(graph, pipeline_) : std::vector<int>{};
  saver_ = std::make_unique<Saver>(checkpoints, state(), world_, first_worker_,
                                   checkpoint_writers(graph, stages, grid_, first_worker_),
                                   job_.checkpoint.keep);
  if (world_.rank() == 0) {
    open_metrics();
    progress_ = std::make_unique<Progress>(total_steps_, job_.run.log_every_s);
  }
  health_.emplace(job_.health, works_ ? &state() : nullptr, job_.train.micro_batches,
                  job_.parallel.on_rank_lost == "shrink");
  if (works_ && grid_.replicas() > 1 && job_.health.on_straggler != "ignore")
    stragglers_.emplace(
        job_.health, replicas(), staged() ? "replicas of" : "workers",
        workers_.rank() == 0 ? run_directory_ / "waits.jsonl" : std::filesystem::path());
  remember_steps();
  const std::int64_t images = job_.train.batch / job_.train.micro_batches;
  if (world_.rank() == 0)
    if (const std::string few = small_batch_warning(
            graph, job_.train.sync_bn ? images : images / grid_.replicas(), job_.train.sync_bn);
        !few.empty())
      spdlog::warn("{}", few);
  if (world_.rank() == 0)
    if (const std::string many = large_batch_warning(job_.optimizer, job_.train.batch);
        !many.empty())
      spdlog::warn("{}", many);
  if (works_) compare_plans();
  sound_ = true;
}

void Trainer::begin_epoch_where_due() {
  if (where_.cursor < data_.train_samples) return;
  ++where_.epoch;
  where_.cursor = 0;
}

/// After `where_` has been loaded.
void Trainer::begin_where_left() {
  begin_epoch_where_due();  // the job may have fewer samples than before
  if (job_.schedule.policy != "plateau") where_.plateau = {};  // another one begins anew
  total_steps_ = last_step();
  started_at_ = where_.step;
}

void Trainer::open_metrics() {
  metrics_ =
      std::make_unique<MetricsFile>(run_directory_ / "metrics.jsonl", where_.step, !unfinished_);
  if (carried_ && metrics_->last_step() < last_step_.step) metrics_->write(last_step_);
  if (const MetricsFile::LostWork& lost = metrics_->lost(); lost.steps > 0)
    spdlog::warn("lost: {} steps after step {}, {:.1f} s of work, are done again", lost.steps,
                 where_.step, lost.seconds);
}

void Trainer::compare_plans() {
  const std::string onednn = cpu::onednn_version();
  const std::uint64_t hash =
      plan_hash(engine_->train_plan()) ^ hash64(std::as_bytes(std::span(onednn)));
  for (std::uint64_t other : replicas().all_gather_value(hash, "plan hash"))
    if (other != hash)
      throw ConfigError(
          "ranks have made different plans of this job, or use different versions of "
          "oneDNN; start the same binary with the same job and libraries everywhere");
}

/// Finds out who has the newest state. False: the training had not begun.
bool Trainer::meet_survivors() {
  StateOffer mine{.reached = recovery_->reached};
  if (recovery_->mine) {
    mine.step = recovery_->mine->where.step;
    mine.finished = recovery_->mine->finished;
  }
  const std::vector<StateOffer> offers = world_.all_gather_value(mine, "states of survivors");
  for (const StateOffer& offer : offers)
    recovery_->reached = std::max(recovery_->reached, offer.reached);
  giver_ = newest_state(offers);
  return recovery_->reached >= 0;
}

void Trainer::take_carried(const std::filesystem::path& checkpoints) {
  if (world_.rank() == 0) remove_stale_temporaries(checkpoints);
  CarriedState given = give(*recovery_, giver_, state(), world_);
  where_ = std::move(given.where);
  unfinished_ = !given.finished;
  last_step_ = given.last;
  last_validation_ = given.validation;
  save_lost_ = given.saving_step >= 0;
  carried_ = true;
  if (!save_lost_ || where_.best_step != given.saving_step || where_.step == given.saving_step)
    return;
  where_.best_step.reset();
  if (world_.rank() == 0)
    spdlog::warn(
        "the best checkpoint so far, of step {}, was being written when a rank was lost, and is "
        "lost; the "
        "next validation counts as the best",
        given.saving_step);
}

/// What was to come after the step that survivors bring along, and may not have been.
Trainer::Next Trainer::finish_carried_step() {
  carried_ = false;
  if (unfinished_) return finish_step(last_step_);
  if (save_lost_) save();
  return Next::kGoOn;
}

/// After a rank was lost: what this one holds. No communication.
void Trainer::carry_into(Recovery& recovery) {
  recovery.mine.reset();
  // One that only coordinates is ahead of those that compute.
  recovery.reached = std::max(recovery.reached, works_ ? where_.step : started_at_);
  if (!works_ || staged() || !sound_) return;
  if (in_step_ || (unfinished_ && last_step_.held)) health_->undo_step();
  recovery.mine = carry(state(), where_);
  recovery.mine->finished = !unfinished_;
  recovery.mine->last = last_step_;
  recovery.mine->validation = last_validation_;
  recovery.mine->saving_step =
      carried_ && save_lost_ ? where_.step : saver_->saving_step().value_or(-1);
}

/// After the first step without those that were lost, or none if there was none left to do.
void Trainer::tell_recovery() {
  Recovery& r = *std::exchange(recovery_, nullptr);
  const std::string lost = std::exchange(r.lost, "");
  const double seconds = seconds_now() - std::exchange(r.noticed_s, 0);
  if (world_.rank() > 0) return;
  // Where nobody brought a state along, the metrics tell how far it was.
  const std::int64_t again =
      std::max({std::int64_t{0}, r.reached - started_at_, metrics_->lost().steps});
  spdlog::warn(
      "without {}: {} workers go on after step {}; {}; the next step was done {:.2f} s after the "
      "loss was noticed",
      lost, grid_.workers(), started_at_,
      again == 0 ? "no step is lost" : fmt::format("{} steps are done again", again), seconds);
}

}  // namespace lockstep
