#include "coordinator/validation.h"

#include <spdlog/spdlog.h>

#include <cmath>

#include "coordinator/evaluation.h"
#include "data/order.h"

namespace lockstep {

void Validation::end_epoch(RunCourse& course) {
  if (!course.validation_due()) return;
  TrainingState& where = course.where;
  run_.watchdog.enter(Activity::kValidation, where.step,
                      static_cast<double>(run_.data.val_samples) / run_.job.train.batch);
  run_.model.share_statistics();
  const ValidationMetrics v = validate(where);
  course.last_validation = v;
  run_.observers.on_validation(v);
  if (!where.best_step || v.score() > where.best_metric) {
    where.best_metric = v.score();
    where.best_step = where.step;
  }
  follow_plateau(course, v);
}

ValidationMetrics Validation::validate(const TrainingState& where) {
  const RankPlace& place = run_.place;
  if (run_.data.val_scatter && !scattered_) scatter_samples();
  ValidationMetrics v;
  if (place.works)
    v = evaluate(run_.model.engine(), place.loads() ? &run_.data.val_set() : nullptr,
                 run_.data.val_samples, run_.data.augment, run_.job.data.threads, place.replicas());
  place.share_with_coordinator(v, "validation metrics");
  v.step = where.step;
  v.epoch = where.epoch;
  return v;
}

/// Once: each rank that loads keeps its part.
void Validation::scatter_samples() {
  const RankPlace& place = run_.place;
  const Positions all{0, run_.data.val_samples};
  std::vector<std::vector<std::int64_t>> wanted(static_cast<std::size_t>(place.world.size()));
  const EpochOrder order = EpochOrder::identity(all.end);
  const std::vector<int> ranks = place.world_ranks_of_stage(0);
  for (int i = 0; i < place.grid.replicas(); ++i) {
    const Positions part = part_of(all, i, place.grid.replicas());
    wanted[static_cast<std::size_t>(ranks[static_cast<std::size_t>(i)])] =
        order.samples(part.begin, part.end);
  }
  run_.data.val_scatter->send(wanted);
  scattered_ = true;
}

/// Only at the ends of epochs that are due in any case: a training that was ended earlier and then goes on has
/// the rates of one that was not.
void Validation::follow_plateau(RunCourse& course, const ValidationMetrics& v) const {
  const ScheduleOptions& schedule = run_.job.schedule;
  TrainingState& where = course.where;
  if (schedule.policy != "plateau" || where.cursor > 0 ||
      where.epoch % run_.job.train.validate_every != 0)
    return;
  if (static_cast<double>(where.epoch) < schedule.warmup_epochs) return;
  const bool of_loss = schedule.plateau_metric == "loss";
  if (!count_validation(schedule, where.step, of_loss ? v.loss : v.score(), where.plateau)) return;
  if (run_.place.first())
    spdlog::info(
        "the learning rate falls to {:.4g}: {} validations without a better {} than {:.4g}",
        course.learning_rate(), schedule.patience, of_loss ? "loss" : "accuracy",
        where.plateau.best.value_or(std::nan("")));
}

}  // namespace lockstep
