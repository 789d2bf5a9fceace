#pragma once
#include <optional>

namespace lockstep {

/// Seconds of work between two checkpoints that lose the least time, if one costs `cost_s` and the job fails
/// every `mean_time_to_failure_s`.  Daly 2006, doi:10.1016/j.future.2004.11.016, eq. 37; its first term is
/// Young's sqrt(2 C M).
double checkpoint_interval_s(double cost_s, double mean_time_to_failure_s);

/// Says when a checkpoint is due by the clock: by the measured cost of a save and the mean time to failure, or so long
/// after the last, and once before the time limit. The cost is what the step loop waits for, and what steps beside a save take
/// longer than the others. Times are seconds of one clock.
class CheckpointPacer {
 public:
  /// `mean_time_to_failure_s` 0: every `every_s` instead, if that is not 0 either. `ends_s`: when the job's time is over.
  CheckpointPacer(double mean_time_to_failure_s, double every_s, std::optional<double> ends_s,
                  double now_s);

  void step(double took_s, bool saving);
  void save_began(double now_s, double waited_s);
  /// True if the cost has not been known before.
  bool save_ended(double now_s, double waited_s);

  /// False while a save is under way.
  bool due(double now_s) const;
  double cost_s() const { return cost_s_; }
  double interval_s() const;

 private:
  static constexpr double kGuess_s = 1;  // of the cost, until it is known

  double limit_margin_s() const;

  double mean_time_to_failure_s_, every_s_;
  std::optional<double> ends_s_;
  double last_s_;                  // when the newest save ended, or the job began
  std::optional<double> began_s_;  // the save under way
  std::optional<double> latest_began_s_;
  double step_s_ = 0;   // of steps without a save beside them
  double spent_s_ = 0;  // on the save under way
  double cost_s_ = kGuess_s;
  bool known_ = false;  // the cost
  double longest_save_s_ = 0;
};

/// When this job's time is over, on data/timing.h's clock: SLURM_JOB_END_TIME. Nothing if nobody says.
std::optional<double> end_of_job_s();

}  // namespace lockstep
