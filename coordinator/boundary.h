#pragma once
#include <csignal>

#include "coordinator/health_actions.h"

namespace lockstep {

/// What comes after a step.
enum class Next { kGoOn, kStop, kRollBack };

/// Who wants a training to stop.
enum class StopWish { kNobody, kSignal, kFile };

/// Where ranks meet after each step, and agree on what all of them have to do next.
class Boundary {
 public:
  /// `stop` is set by a signal handler.
  Boundary(const RunContext& run, TrainingHealth& health, RunCheckpoints& checkpoints,
           const volatile std::sig_atomic_t& stop)
      : run_(run), actions_(run, health, checkpoints), checkpoints_(checkpoints), stop_(stop) {}

  /// After the course's last step: publishes a checkpoint that all have written, acts on the step's health, and saves
  /// where that is due. Collective. @throws RankLostError, ConfigError (another job has taken the run's directory),
  /// and what HealthActions throws.
  Next agree(const RunCourse& course);

  StopWish stop_wish() const { return wish_; }

 private:
  StepVotes vote(const HealthVerdict& verdict);

  RunContext run_;
  HealthActions actions_;
  RunCheckpoints& checkpoints_;
  const volatile std::sig_atomic_t& stop_;
  StopWish wish_ = StopWish::kNobody;
};

}  // namespace lockstep
