#pragma once
#include <optional>
#include <string>

#include "coordinator/health/stragglers.h"
#include "coordinator/health/training_health.h"
#include "coordinator/run_checkpoints.h"
#include "coordinator/run_context.h"
#include "coordinator/run_course.h"
#include "coordinator/step_vote.h"

namespace lockstep {

/// What the ranks of a training do together about numbers that go wrong.
class HealthActions {
 public:
  HealthActions(const RunContext& run, TrainingHealth& health, RunCheckpoints& checkpoints);

  /// The verdict on the last step; no communication.
  HealthVerdict judge(const StepMetrics& step) { return health_.after_step(step); }
  /// What all ranks say to that of this one. True: roll back. @throws HealthError where the job wants to stop;
  /// CommError if ranks disagree.
  bool act_on(const HealthVerdict& verdict, const StepVotes& votes, const RunCourse& course);
  /// After a well step, where one is due: at layers, and at who waits for whom. Collective.
  /// @throws HealthError.
  void look(std::int64_t step);
  /// Replicas hold the same parameters. Collective. @throws CommError.
  void compare_parameters(std::int64_t step);

 private:
  [[noreturn]] void stop_because(const std::string& what);
  void look_at_layers(std::int64_t step);
  void look_for_stragglers(std::int64_t step);

  RunContext run_;
  TrainingHealth& health_;
  RunCheckpoints& checkpoints_;
  std::optional<StragglerWatch> stragglers_;  // of several replicas
};

/// More than a warning is due about the step.
inline bool is_unhealthy(const HealthVerdict& verdict) {
  return verdict.action > HealthAction::kWarn;
}

}  // namespace lockstep
