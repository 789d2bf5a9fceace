#pragma once
#include <csignal>
#include <filesystem>
#include <optional>

#include "coordinator/boundary.h"
#include "coordinator/resume.h"
#include "coordinator/run_context.h"
#include "coordinator/run_course.h"
#include "coordinator/step_runner.h"
#include "coordinator/validation.h"

namespace lockstep {

/// How a training ended.
enum class TrainingEnd { kDone, kStoppedBySignal, kStoppedAsAsked };

/// Runs a job on one rank, in lockstep with the others. Every rank walks the same steps and takes
/// part in every collective of the world; rank 0 also keeps the run directory. With coordinator =
/// dedicated rank 0 computes nothing: it reads and scatters data, keeps metrics, publishes.
class Trainer {
 public:
  /// `stop` is set by a signal handler: the step is finished, a checkpoint saved, and run() returns.
  /// `run_start` is kept with the run and with its checkpoints. `watchdog` is told what goes on. `faults`
  /// injects what a drill wants. `recovery`: what this rank brings along from before others were lost.
  Trainer(const Job& job, const RunStart& run_start, const Communicator& world,
          const volatile std::sig_atomic_t& stop, Watchdog& watchdog, FaultInjector& faults,
          Recovery* recovery = nullptr);
  Trainer(const Trainer&) = delete;  // its parts refer to each other
  Trainer& operator=(const Trainer&) = delete;

  /// Before run(): further observers may be added.
  Observers& observers() { return observers_; }

  TrainingEnd run();

  /// After run() has thrown RankLostError: keeps what a training without the lost needs.
  void carry_into(Recovery& recovery);

  std::int64_t steps_done() const { return course_.where.step; }
  std::int64_t total_steps() const { return course_.total_steps; }
  /// Steps since this start; 0 where the run had been finished before.
  std::int64_t steps_taken() const { return course_.where.step - course_.started_at; }
  const std::filesystem::path& run_directory() const { return directory_.path(); }
  const std::optional<ValidationMetrics>& last_validation() const {
    return course_.last_validation;
  }

 private:
  Next finish_carried_step();
  Next train();
  Next finish_step();
  void roll_back();
  TrainingEnd end() const;

  RankPlace place_;
  JobData data_;
  RunDirectory directory_;
  Observers observers_;
  MetricsFile* metrics_ = nullptr;  // of observers_; rank 0
  RunContext run_;                  // of what is here
  RunCourse course_;
  Resume resume_;
  RankModel model_;
  TrainingHealth health_;
  StepRunner steps_;
  Validation validation_;
  RunCheckpoints checkpoints_;
  Boundary boundary_;
};

}  // namespace lockstep
