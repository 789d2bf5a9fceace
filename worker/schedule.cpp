#include <algorithm>
#include <cmath>
#include <numbers>

#include "worker/optimizer.h"

namespace lockstep {

namespace {

/// From 1 at t = 0 to `last` at t = 1.
double cosine(double t, double last) {
  return last + (1 - last) * 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(t, 0.0, 1.0)));
}

double one_cycle(const ScheduleOptions& s, double progress) {
  constexpr double kStart = 0.04;  // 1/25 of the peak, Smith & Topin 2017, arXiv:1708.07120
  if (progress < s.peak_fraction) return cosine(1 - progress / s.peak_fraction, kStart);
  return cosine((progress - s.peak_fraction) / (1 - s.peak_fraction), s.final_fraction);
}

double policy_factor(const ScheduleOptions& s, double epoch, double epochs) {
  if (s.policy == "step") {
    double factor = 1;
    for (double milestone : s.milestones)
      if (epoch >= milestone) factor *= s.gamma;
    return factor;
  }
  if (s.policy == "cosine") {
    const double length = std::max(epochs - s.warmup_epochs, 1e-9);
    return cosine((epoch - s.warmup_epochs) / length, s.final_fraction);
  }
  if (s.policy == "one_cycle") return one_cycle(s, epoch / std::max(epochs, 1e-9));
  return 1;
}

}  // namespace

double learning_rate_at(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                        double epoch, double epochs, std::int64_t global_batch) {
  double rate = optimizer.learning_rate;
  if (optimizer.reference_batch > 0)
    rate *= static_cast<double>(global_batch) / optimizer.reference_batch;
  if (epoch < schedule.warmup_epochs) {
    const double t = epoch / schedule.warmup_epochs;
    return rate * (schedule.warmup_start + (1 - schedule.warmup_start) * t);
  }
  return rate * policy_factor(schedule, epoch, epochs);
}

}  // namespace lockstep
