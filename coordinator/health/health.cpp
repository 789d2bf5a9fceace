#include "coordinator/health/health.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <spdlog/fmt/fmt.h>

namespace lockstep {

namespace {

std::string steps_text(std::size_t steps) {
  return steps == 1 ? "step" : std::to_string(steps) + " steps";
}

}  // namespace

void NormHistory::add(double norm) { norms_[count_++ % kMost] = norm; }

double NormHistory::median() const {
  if (count_ == 0) return 0;
  std::array<double, kMost> sorted = norms_;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(count());
  const auto middle = sorted.begin() + (end - sorted.begin()) / 2;
  std::nth_element(sorted.begin(), middle, end);
  return *middle;
}

double NormHistory::allowed(double factor) const {
  if (count_ == 0 || count_ >= kMany) return factor;
  return std::pow(factor, std::sqrt(1 + M_PI_2 / static_cast<double>(count_)));
}

bool StepHealth::spikes_held() const {
  return options_.on_spike != "warn" && options_.on_spike != "ignore";
}

double StepHealth::norm_limit() const {
  const double median = norms_.median();
  if (spikes_held() && median > 0) return norms_.allowed(options_.spike_factor) * median;
  return options_.on_nan == "ignore" ? 0 : std::numeric_limits<double>::max();
}

HealthVerdict StepHealth::judge(const StepMetrics& step) {
  const double median = norms_.median(), allowed = norms_.allowed(options_.spike_factor);
  HealthVerdict verdict;
  if (!std::isfinite(step.loss) || !std::isfinite(step.gradient_norm))
    verdict = decide_not_finite(step);
  else if (median > 0 && step.gradient_norm > allowed * median)
    verdict = decide(
        options_.on_spike, step.step,
        fmt::format("step {}: the gradient's norm {:.4g} is {:.1f} times the median of the {} "
                    "before, {:.4g}; {:.1f} times are allowed (loss {:.4g})",
                    step.step, step.gradient_norm, step.gradient_norm / median,
                    steps_text(norms_.count()), median, allowed, step.loss));
  remember(step.gradient_norm, step.held || verdict.action == HealthAction::kSkip);
  return verdict;
}

HealthVerdict StepHealth::decide_not_finite(const StepMetrics& step) {
  const std::string what = fmt::format("step {}: the loss is {}, the gradient's norm {}", step.step,
                                       step.loss, step.gradient_norm);
  if (std::isfinite(step.gradient_norm) || (!spikes_held() && options_.on_nan != "ignore"))
    return decide(options_.on_nan, step.step, what);
  if (options_.on_spike == "warn" && !finite_) return {};  // the first of a row was warned of
  return decide(options_.on_spike, step.step, what);
}

HealthVerdict StepHealth::decide(const std::string& wish, std::int64_t step,
                                 const std::string& what) {
  if (wish == "ignore") return {};
  if (wish == "warn") return {HealthAction::kWarn, what};
  if (wish == "skip") {
    if (skips_ < options_.most_skips) return {HealthAction::kSkip, what + "; the step is skipped"};
    return {HealthAction::kStop, fmt::format("{}; {} steps before it were skipped", what, skips_)};
  }
  if (wish == "rollback") {
    rollbacks_ = step == rolled_back_step_ ? rollbacks_ + 1 : 1;
    rolled_back_step_ = step;
    if (rollbacks_ <= options_.most_rollbacks) return {HealthAction::kRollBack, what};
    return {HealthAction::kStop,
            fmt::format("{}; it came again after {} roll-backs, so it is no accident", what,
                        rollbacks_ - 1)};
  }
  return {HealthAction::kStop, what};
}

void StepHealth::remember(double norm, bool held) {
  skips_ = held ? skips_ + 1 : 0;
  finite_ = std::isfinite(norm);
  if (!held && std::isfinite(norm)) norms_.add(norm);
}

void StepHealth::forget() {
  norms_ = {};
  finite_ = true;
  skips_ = 0;
}

std::int64_t first_not_finite(std::span<const float> values) {
  constexpr std::size_t kBlock = 4096;
  constexpr std::uint32_t kExponent = 0x7f800000;  // all ones: infinite, or not a number
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, values.size());
    std::uint32_t found = 0;  // no branches inside: vectors of 16
    for (std::size_t i = begin; i < end; ++i)
      found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(values[i]) & kExponent) ==
                                          kExponent);
    if (found == 0) continue;
    for (std::size_t i = begin; i < end; ++i)
      if (!std::isfinite(values[i])) return static_cast<std::int64_t>(i);
  }
  return -1;
}

}  // namespace lockstep
