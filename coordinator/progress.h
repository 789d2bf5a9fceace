#pragma once
#include <string>

#include "coordinator/run_observer.h"

namespace lockstep {

/// Set by who shows this process's stderr on a terminal, though it is a pipe here: lockstep launch.
inline constexpr const char* kTerminalVariable = "LOCKSTEP_ON_TERMINAL";

/// What the user sees while a run goes on: on a terminal one line that is written over, else a log
/// line every `every_s` seconds. Rank 0 only.
class Progress : public RunObserver {
 public:
  Progress(std::int64_t total_steps, double every_s);

  void on_step(const StepMetrics& metrics) override;
  void on_validation(const ValidationMetrics& metrics) override;
  void on_end() override;  // leaves the progress line

 private:
  std::string line(const StepMetrics& metrics) const;

  std::int64_t total_steps_;
  double every_s_;
  bool terminal_;
  double last_shown_ = 0;
  double images_per_second_ = 0, step_seconds_ = 0;  // moving averages
};

}  // namespace lockstep
