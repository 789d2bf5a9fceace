#include <algorithm>
#include <cmath>
#include <cstdio>
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

double plateau_factor(const ScheduleOptions& s, std::int64_t falls) {
  double factor = 1;
  for (std::int64_t i = 0; i < falls && factor > s.final_fraction; ++i) factor *= s.gamma;
  return std::max(factor, s.final_fraction);
}

double policy_factor(const ScheduleOptions& s, double epoch, double epochs, std::int64_t falls) {
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
  if (s.policy == "plateau") return plateau_factor(s, falls);
  if (s.policy == "one_cycle") return one_cycle(s, epoch / std::max(epochs, 1e-9));
  return 1;
}

}  // namespace

double learning_rate_at(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                        double epoch, double epochs, std::int64_t global_batch,
                        std::int64_t falls) {
  double rate = optimizer.learning_rate;
  if (optimizer.reference_batch > 0)
    rate *= static_cast<double>(global_batch) / optimizer.reference_batch;
  if (epoch < schedule.warmup_epochs) {
    const double t = epoch / schedule.warmup_epochs;
    return rate * (schedule.warmup_start + (1 - schedule.warmup_start) * t);
  }
  return rate * policy_factor(schedule, epoch, epochs, falls);
}

std::string large_batch_warning(const OptimizerOptions& optimizer, std::int64_t global_batch) {
  constexpr std::int64_t kLargest = 8192;
  if (optimizer.reference_batch <= 0 || global_batch <= kLargest) return "";
  return "train.batch = " + std::to_string(global_batch) +
         " with a rate scaled linearly (optimizer.reference_batch = " +
         std::to_string(optimizer.reference_batch) + "): accuracy was seen to fall above " +
         std::to_string(kLargest) +
         " images a step; use a smaller batch, or reference_batch = 0 and a rate that was tried";
}

std::string optimizer_rate_warning(const OptimizerOptions& optimizer) {
  constexpr double kLargest = 0.03;
  if (optimizer.name != OptimizerKind::kAdamW || optimizer.learning_rate <= kLargest) return "";
  char text[192];
  std::snprintf(text, sizeof text,
                "optimizer.learning_rate = %g is a rate for sgd: adamw moves every weight by about "
                "the rate in each step; 0.001 is usual",
                optimizer.learning_rate);
  return text;
}

double scheduled_rate(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                      const CurvePlace& place, std::int64_t global_batch) {
  if (schedule.epochs <= 0)
    return learning_rate_at(optimizer, schedule, place.epoch, place.train_epochs, global_batch,
                            place.falls);
  const double last = std::max(0.0, schedule.epochs - place.last_step);
  return learning_rate_at(optimizer, schedule, std::min(place.epoch, last), schedule.epochs,
                          global_batch);
}

bool count_validation(const ScheduleOptions& schedule, std::int64_t step, double value,
                      PlateauState& plateau) {
  if (step <= plateau.step) return false;
  plateau.step = step;
  const bool of_loss = schedule.plateau_metric == "loss";
  if (of_loss != plateau.of_loss) plateau.best.reset();  // the job has chosen another one since
  plateau.of_loss = of_loss;
  const double best = plateau.best.value_or(0);
  const bool better =
      of_loss ? value < best * (1 - schedule.threshold) : value > best * (1 + schedule.threshold);
  if (!std::isnan(value) && (!plateau.best || better)) {
    plateau.best = value;
    plateau.waited = 0;
    return false;
  }
  if (++plateau.waited < schedule.patience) return false;
  plateau.waited = 0;
  if (plateau_factor(schedule, plateau.falls) <= schedule.final_fraction) return false;
  ++plateau.falls;
  return true;
}

std::string rate_jump(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                      double curve_before, const CurvePlace& place, std::int64_t global_batch) {
  const double curve = schedule.epochs > 0 ? schedule.epochs : place.train_epochs;
  if (curve_before <= 0 || curve_before == curve) return "";
  if (schedule.policy != "cosine" && schedule.policy != "one_cycle") return "";
  ScheduleOptions old = schedule;
  old.epochs = curve_before;
  const double from = scheduled_rate(optimizer, old, place, global_batch);
  const double to = scheduled_rate(optimizer, schedule, place, global_batch);
  if (std::abs(to - from) <= 1e-6 * std::abs(from)) return "";
  char text[256];
  std::snprintf(
      text, sizeof text,
      "the learning rate goes from %.4g to %.4g: the curve of schedule.policy = %s is %g epochs "
      "long "
      "now, and was %g; schedule.epochs = %g keeps the old curve, and after its end its last rate",
      from, to, schedule.policy.c_str(), curve, curve_before, curve_before);
  return text;
}

}  // namespace lockstep
