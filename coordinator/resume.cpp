#include "coordinator/resume.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "coordinator/all_reduce_choice.h"
#include "coordinator/data_record.h"
#include "coordinator/input_facts.h"
#include "data/error.h"
#include "data/timing.h"

namespace lockstep {

Resume::Resume(const RunContext& run, Recovery* recovery)
    : run_(run),
      recovery_(recovery),
      data_record_(data_record(
          run.data, run.place.world,
          recovery && recovery->mine ? data_record_of(recovery->mine->where.details) : "")) {}

StartingPoint Resume::starting_point(bool resume) const {
  return {.checkpoints = run_.directory.checkpoints(),
          .resume = resume,
          .seed = run_.job.run.seed,
          .start_from = run_.job.run.start_from,
          .class_names = run_.data.class_names,
          .classes = run_.data.classes,
          .slots_may_begin = run_.job.checkpoint.on_changed == "warn"};
}

void Resume::load(RunCourse& course) {
  const bool recovers = recovery_ != nullptr;
  const bool goes_on = recovers && meet_survivors();
  const bool resumes = run_.job.run.resume || goes_on;
  if (run_.place.first()) run_.directory.open(run_.job.run, !resumes, recovers);
  if (donor_ >= 0) {
    take_carried(course);
  } else {
    course.where = load_or_initialize(starting_point(resumes), run_.model.state(), run_.place.world,
                                      run_.place.replicas());
    course.phase = RunPhase::kBetween;
  }
  check_data(course.where);
  course.begin_where_left();
}

void Resume::load_again(RunCourse& course) const {
  const std::string details = course.where.details;
  course.where = load_or_initialize(starting_point(true), run_.model.state(), run_.place.world,
                                    run_.place.replicas());
  course.where.details = details;
  course.where.seed = run_.job.run.seed;
  course.begin_where_left();
}

void Resume::record(const RunStart& as_given, RunCourse& course) const {
  const JobData& data = run_.data;
  const InputFacts facts{.input = data.input,
                         .mean = data.augment.mean,
                         .std = data.augment.std,
                         .resize = data.augment.resize,
                         .class_names = data.class_names,
                         .classes = data.classes};
  const RunStart start{.job_text = with_input_facts(as_given.job_text, facts),
                       .command_line = as_given.command_line};
  RunEnvironment environment =
      collect_environment(run_.place.world, run_.model.lanes(), run_.model.activations());
  environment.started_from = started_from(course.where.details);
  environment.data = data_record_;
  const std::string details =
      details_with_input_facts(checkpoint_details(start, environment), facts);
  if (run_.place.first()) {
    if (course.where.step > 0) warn_of_changes(course, details);
    record_start(run_.directory.path(), start, environment);
    record_table(run_.directory.path(), run_.model.all_reduce_table());
  }
  course.where.details = details;
  course.where.seed = run_.job.run.seed;
}

/// Since the checkpoint that training resumes from.
void Resume::warn_of_changes(const RunCourse& course, const std::string& details) const {
  const Job& job = run_.job;
  const std::string& before = course.where.details;
  for (const std::string& change : changes_since(before, details))
    spdlog::warn("resuming: {}", change);
  if (const std::string seeds = seed_change(course.where, job.run.seed); !seeds.empty())
    spdlog::warn("resuming: {}", seeds);
  const std::string jump = rate_jump(job.optimizer, job.schedule, curve_epochs(before),
                                     course.curve_place(), job.train.batch);
  if (!jump.empty()) spdlog::warn("resuming: {}", jump);
}

void Resume::complete(MetricsFile* metrics, const RunCourse& course) const {
  if (metrics && carried_ && metrics->last_step() < course.last_step.step)
    metrics->on_step(course.last_step);
}

/// Refuses to go on, or warns, on other data than the checkpoint's training was on.
void Resume::check_data(const TrainingState& where) const {
  if (where.step == 0 || carried_) return;
  const std::string before = data_record_of(where.details);
  const bool speaks = run_.place.first();
  if (before.empty() && speaks)
    spdlog::warn(
        "resuming: the checkpoint does not tell what data it was trained on (older versions did "
        "not write it): "
        "they are not compared");
  const std::vector<std::string> changes = data_changes(before, data_record_);
  if (!changes.empty() && run_.job.data.on_changed == "stop") {
    std::string all;
    for (const std::string& change : changes) all += (all.empty() ? "" : "; ") + change;
    throw DataError(run_.directory.path().string() +
                    ": the data are not those that it was trained on until step " +
                    std::to_string(where.step) + ": " + all +
                    ". Bring back the old ones; or begin anew, with another "
                    "run.name; or set data.on_changed = warn, to go on with these");
  }
  if (!speaks) return;
  for (const std::string& change : changes) spdlog::warn("resuming on other data: {}", change);
}

/// Finds out who has the newest state. False: the training had not begun.
bool Resume::meet_survivors() {
  StateOffer mine{.reached = recovery_->reached};
  if (recovery_->mine) {
    mine.step = recovery_->mine->where.step;
    mine.finished = recovery_->mine->finished;
  }
  const std::vector<StateOffer> offers =
      run_.place.world.all_gather_value(mine, "states of survivors");
  for (const StateOffer& offer : offers)
    recovery_->reached = std::max(recovery_->reached, offer.reached);
  donor_ = newest_state(offers);
  return recovery_->reached >= 0;
}

void Resume::take_carried(RunCourse& course) {
  const bool first = run_.place.first();
  if (first) remove_stale_temporaries(run_.directory.checkpoints());
  CarriedState given = give(*recovery_, donor_, run_.model.state(), run_.place.world);
  TrainingState& where = course.where;
  where = std::move(given.where);
  course.phase = given.finished ? RunPhase::kBetween : RunPhase::kFinishing;
  course.last_step = given.last;
  course.last_validation = given.validation;
  save_lost_ = given.saving_step >= 0;
  carried_ = true;
  if (!save_lost_ || where.best_step != given.saving_step || where.step == given.saving_step)
    return;
  where.best_step.reset();
  if (first)
    spdlog::warn(
        "the best checkpoint so far, of step {}, was being written when a rank was lost, and is "
        "lost; the "
        "next validation counts as the best",
        given.saving_step);
}

void Resume::report(const RunCourse& course, const MetricsFile* metrics) {
  if (!recovery_) return;
  Recovery& r = *std::exchange(recovery_, nullptr);
  const std::string lost = std::exchange(r.lost, "");
  const double seconds = seconds_now() - std::exchange(r.noticed_s, 0);
  if (!run_.place.first()) return;
  // Where nobody brought a state along, the metrics tell how far it was.
  const std::int64_t again =
      std::max({std::int64_t{0}, r.reached - course.started_at, metrics->lost_steps()});
  spdlog::warn(
      "without {}: {} workers go on after step {}; {}; the next step was done {:.2f} s after the "
      "loss was noticed",
      lost, run_.place.grid.workers(), course.started_at,
      again == 0 ? "no step is lost" : fmt::format("{} steps are done again", again), seconds);
}

void remember_steps(const MetricsFile* metrics, const Communicator& world, TrainingHealth& health) {
  std::vector<PastStep> past;
  if (metrics) past.assign(metrics->past().begin(), metrics->past().end());
  world.broadcast(past, 0, "steps before");
  health.resume(past);
}

}  // namespace lockstep
