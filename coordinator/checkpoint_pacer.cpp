#include "coordinator/checkpoint_pacer.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "data/timing.h"

namespace lockstep {

double checkpoint_interval_s(double cost_s, double mean_time_to_failure_s) {
  const double part = cost_s / (2 * mean_time_to_failure_s);
  if (part >= 1) return mean_time_to_failure_s;
  return std::sqrt(2 * cost_s * mean_time_to_failure_s) * (1 + std::sqrt(part) / 3 + part / 9) -
         cost_s;
}

CheckpointPacer::CheckpointPacer(double mean_time_to_failure_s, double every_s,
                                 std::optional<double> ends_s, double now_s)
    : mean_time_to_failure_s_(mean_time_to_failure_s),
      every_s_(every_s),
      ends_s_(ends_s),
      last_s_(now_s) {}

void CheckpointPacer::step(double took_s, bool saving) {
  constexpr double kWeight = 0.1;
  if (!saving)
    step_s_ = step_s_ == 0 ? took_s : (1 - kWeight) * step_s_ + kWeight * took_s;
  else if (step_s_ > 0)
    spent_s_ += took_s - step_s_;
}

void CheckpointPacer::save_began(double now_s, double waited_s) {
  began_s_ = latest_began_s_ = now_s;
  spent_s_ = waited_s;
}

bool CheckpointPacer::save_ended(double now_s, double waited_s) {
  if (!began_s_) return false;
  constexpr double kLeast_s = 1e-4, kWeight = 0.3;
  const double cost = std::max(kLeast_s, spent_s_ + waited_s);
  cost_s_ = known_ ? (1 - kWeight) * cost_s_ + kWeight * cost : cost;
  const bool first = !std::exchange(known_, true);
  longest_save_s_ = std::max(longest_save_s_, now_s - *began_s_);
  last_s_ = now_s;
  began_s_.reset();
  return first;
}

/// A save has to be done by the end, whatever the file system does that day.
double CheckpointPacer::limit_margin_s() const {
  constexpr double kLeast_s = 30;
  return std::max(kLeast_s, 3 * longest_save_s_ + 3 * step_s_);
}

double CheckpointPacer::interval_s() const {
  return checkpoint_interval_s(cost_s_, mean_time_to_failure_s_);
}

bool CheckpointPacer::due(double now_s) const {
  if (began_s_) return false;
  const double limit_s = ends_s_ ? *ends_s_ - limit_margin_s() : HUGE_VAL;
  if (now_s >= limit_s && (!latest_began_s_ || *latest_began_s_ < limit_s)) return true;
  const double every_s = mean_time_to_failure_s_ > 0 ? interval_s() : every_s_;
  return every_s > 0 && now_s - last_s_ >= every_s;
}

std::optional<double> end_of_job_s() {
  const char* text = std::getenv("SLURM_JOB_END_TIME");
  const double end = text ? std::atof(text) : 0;
  if (end <= 0) return std::nullopt;
  return seconds_now() + end - static_cast<double>(std::time(nullptr));
}

}  // namespace lockstep
