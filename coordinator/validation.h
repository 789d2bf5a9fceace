#pragma once
#include "coordinator/run_context.h"
#include "coordinator/run_course.h"

namespace lockstep {

/// Validates a training at the ends of its epochs, and keeps what follows from it: the best step, and how far
/// the learning rate is from falling (schedule.policy = plateau).
class Validation {
 public:
  explicit Validation(const RunContext& run) : run_(run) {}

  /// At the end of an epoch: where validation is due. Collective.
  void end_epoch(RunCourse& course);

 private:
  ValidationMetrics validate(const TrainingState& where);
  void scatter_samples();
  void follow_plateau(RunCourse& course, const ValidationMetrics& metrics) const;

  RunContext run_;
  bool scattered_ = false;
};

}  // namespace lockstep
