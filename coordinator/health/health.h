#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "coordinator/job.h"
#include "coordinator/metrics.h"

namespace lockstep {

/// What is done about a sick step.
enum class HealthAction { kGoOn, kWarn, kSkip, kRollBack, kStop };

struct HealthVerdict {
  HealthAction action = HealthAction::kGoOn;
  std::string what;  // for people; empty: the step is well
};

/// The norms of the last 64 well steps, and what is to be expected of the next.
class NormHistory {
 public:
  static constexpr std::size_t kMost = 64, kMany = 16;

  void add(double norm);
  std::size_t count() const { return count_ < kMost ? count_ : kMost; }
  /// The upper one of two; 0 while there is none.
  double median() const;
  /// How many times the median a norm may be: `factor` where there are kMany norms or more, and more where there are
  /// few, whose median says little. With s the deviation of the norms' logarithms, the median of n is off by
  /// s * sqrt(pi / 2n), so that a norm is off from it by s * sqrt(1 + pi / 2n): factor to the power of this root
  /// (factor 10: 40 times the only norm, 22 of two, 15 of four).
  double allowed(double factor) const;

 private:
  std::array<double, kMost> norms_ = {};
  std::size_t count_ = 0;
};

/// Judges steps by their loss and the norm of their gradient. A pure function of what steps told: all ranks
/// come to the same verdict, and a resumed run to the one of an uninterrupted run, once it has been told
/// of the steps before (remember()).
///
/// A sick step is not a number in loss or gradient, or a norm far above the median (NormHistory::allowed()), from
/// the second step on. A norm that is not finite is a spike, too: on_spike says what is done if it asks for more than
/// a warning, else on_nan. Unless it is only to be warned of or ignored, the update is held (norm_limit()): parameters
/// and momentum stay as they were. most_skips skips in a row, or a roll-back more than most_rollbacks times because of
/// the same step, become a stop: it is no accident.
class StepHealth {
 public:
  explicit StepHealth(const HealthOptions& options) : options_(options) {}

  /// For StepContext::norm_limit of the next step.
  double norm_limit() const;
  /// Whether steps may be skipped: then what a held step changes besides must be restored.
  bool skips() const { return options_.on_nan == "skip" || options_.on_spike == "skip"; }

  HealthVerdict judge(const StepMetrics& step);
  /// A step before the one from which training goes on.
  void remember(double norm, bool held);
  /// Steps are told again from here; what led to roll-backs stays known.
  void forget();

 private:
  HealthVerdict decide(const std::string& wish, std::int64_t step, const std::string& what);
  HealthVerdict decide_not_finite(const StepMetrics& step);
  bool spikes_held() const;

  HealthOptions options_;
  NormHistory norms_;
  bool finite_ = true;  // the last norm
  int skips_ = 0;       // in a row
  std::int64_t rolled_back_step_ = -1;
  int rollbacks_ = 0;  // because of that step
};

/// The first value that is not a number; its place, or -1. One pass over memory.
std::int64_t first_not_finite(std::span<const float> values);

}  // namespace lockstep
