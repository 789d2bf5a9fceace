#pragma once
#include <cstdint>
#include <optional>

#include "coordinator/job.h"
#include "coordinator/metrics.h"
#include "coordinator/plan/batches.h"
#include "data/checkpoint.h"

namespace lockstep {

/// How a rank's state stands to its last step: what survivors of a lost rank can go on with.
enum class RunPhase {
  kLoading,    // it is being read or begun: of no step yet
  kStepping,   // of before the step that is computed, but for running statistics
  kFinishing,  // of after the last step; what comes after its update (validation, verdict, checkpoint) is not all done
  kBetween,    // of after the last step, and all of it is done
};

/// How far a run is: the same on all ranks. Decisions here are functions of what checkpoints keep, so that a resumed
/// run makes those of one that was not interrupted.
struct RunCourse {
  RunCourse(const Job& its_job, std::int64_t samples) : job(its_job), train_samples(samples) {}

  /// After `where` has been loaded, or has been made one that this job can go on from.
  void begin_where_left();
  /// A step that covers `positions` has been done; `held`: without its update.
  void advance(const Positions& positions, bool held = false);

  Positions next_positions() const {
    return step_positions(where.cursor, train_samples, job.train.batch);
  }
  double fractional_epoch() const;
  CurvePlace curve_place() const;
  double learning_rate() const;

  bool at_last_step() const { return where.step >= total_steps; }
  bool no_longer_improves() const;  // train.early_stopping
  bool ended() const { return at_last_step() || no_longer_improves(); }
  /// The step done ends an epoch, or the training.
  bool ends_epoch() const { return where.cursor == 0 || where.step == total_steps; }
  bool validation_due() const;  // at the end of an epoch
  bool checkpoint_due() const;  // but for what the clock says

  const Job& job;
  std::int64_t train_samples;
  TrainingState where;
  std::int64_t total_steps = 0, started_at = 0;
  StepMetrics last_step;
  std::optional<ValidationMetrics> last_validation;
  RunPhase phase = RunPhase::kLoading;

 private:
  void begin_epoch_where_due();
  std::int64_t last_of_all() const;
};

}  // namespace lockstep
