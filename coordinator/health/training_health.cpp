#include "coordinator/health/training_health.h"

#include <algorithm>
#include <map>

#include <spdlog/spdlog.h>

namespace lockstep {

TrainingHealth::TrainingHealth(const HealthOptions& options, ModelState* state, int micro_batches,
                               bool keeps)
    : options_(options), state_(state), keeps_(keeps), steps_(options) {
  if (!state) return;
  layers_.emplace(*state, options, micro_batches);
  statistics_before_.resize(state->statistics().size());
}

void TrainingHealth::resume(std::span<const PastStep> past) {
  steps_.forget();
  for (const PastStep& step : past) steps_.remember(step.norm, step.held);
}

void TrainingHealth::before_step(std::int64_t step, const StepDraws& draws) {
  if (look_due(step)) layers_->prepare(draws);
  kept_ = state_ && (keeps_ || steps_.skips() || look_due(step));
  if (kept_) std::ranges::copy(state_->statistics(), statistics_before_.begin());
}

HealthVerdict TrainingHealth::after_step(const StepMetrics& step) {
  HealthVerdict verdict = steps_.judge(step);
  if (verdict.action == HealthAction::kSkip && kept_)
    std::ranges::copy(statistics_before_, state_->statistics().begin());
  return verdict;
}

void TrainingHealth::undo_step() {
  if (kept_) std::ranges::copy(statistics_before_, state_->statistics().begin());
}

const std::string& TrainingHealth::wish(LayerTrouble trouble) const {
  switch (trouble) {
    case LayerTrouble::kVanishing:
      return options_.on_vanishing;
    case LayerTrouble::kDead:
      return options_.on_dead;
    default:
      return options_.on_stale_bn;
  }
}

namespace {

/// The first in full, of the others the names.
std::string together(const std::vector<LayerFinding>& findings) {
  std::string text = findings.front().what;
  constexpr std::size_t kNamed = 4;
  for (std::size_t i = 1; i < findings.size() && i <= kNamed; ++i)
    text += (i == 1 ? "; likewise " : ", ") + findings[i].layer;
  if (findings.size() > kNamed + 1)
    text += fmt::format(" and {} more layers", findings.size() - kNamed - 1);
  return text;
}

}  // namespace

std::string TrainingHealth::look(std::int64_t step) {
  if (!look_due(step)) return "";
  std::string stop;
  std::map<LayerTrouble, std::vector<LayerFinding>> found;
  for (LayerFinding& finding : layers_->look(statistics_before_, step)) {
    if (wish(finding.trouble) == "stop")
      stop += (stop.empty() ? "" : "; ") + finding.what;
    else if (told_.emplace(finding.trouble, finding.layer).second)
      found[finding.trouble].push_back(std::move(finding));
  }
  for (const auto& [trouble, findings] : found)
    spdlog::warn("step {}: {}", step, together(findings));
  return stop;
}

std::string TrainingHealth::sick_gradients() const {
  if (!state_) return "";
  const auto& parameters = state_->graph().parameters();
  std::vector<std::string> sick;
  std::size_t looked_at = 0;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const auto gradient = state_->parameter(static_cast<ParameterId>(p), state_->gradients());
    looked_at += !gradient.empty();
    if (first_not_finite(gradient) >= 0) sick.push_back(parameters[p].name);
  }
  if (sick.empty()) return "";
  return fmt::format("{} of {} gradients are not finite, from {} to {}", sick.size(), looked_at,
                     sick.front(), sick.back());
}

}  // namespace lockstep
