#include "coordinator/health/layer_health.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <spdlog/fmt/fmt.h>

#include "coordinator/plan/switches.h"

namespace lockstep {
namespace {

double norm_of(std::span<const float> values) {
  constexpr std::size_t kAtOnce = 16;  // sums that do not wait for each other
  std::array<double, kAtOnce> sums{};
  const auto add = [&](std::size_t sum, float v) {
    sums[sum] += static_cast<double>(v) * static_cast<double>(v);
  };
  std::size_t i = 0;
  for (; i + kAtOnce <= values.size(); i += kAtOnce)
    for (std::size_t j = 0; j < kAtOnce; ++j) add(j, values[i + j]);
  for (; i < values.size(); ++i) add(0, values[i]);
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

}  // namespace

LayerHealth::LayerHealth(ModelState& state, const HealthOptions& options, int micro_batches)
    : state_(state),
      options_(options),
      micro_batches_(micro_batches),
      gates_(gates_behind(state.graph())),
      decided_(behind_decisions(state.graph())) {}

void LayerHealth::prepare(const StepDraws& draws) {
  reached_ =
      reached_by_gradient(state_.graph(), draws, [this](const Op& op) { return closed(op); });
}

/// A norm or layer scale all of whose factors are 0.
bool LayerHealth::closed(const Op& op) const {
  if (op.traits().weights != Weights::kFactors) return false;
  const std::span<const float> factors = state_.parameter(op.parameters[0], state_.parameters());
  return !factors.empty() &&
         std::ranges::all_of(factors, [](float f) { return f == 0; });  // empty: another stage's
}

std::vector<LayerFinding> LayerHealth::look(std::span<const float> statistics_before,
                                            std::int64_t step) {
  std::vector<LayerFinding> findings;
  if (options_.on_vanishing != "ignore") find_vanishing(findings);
  if (options_.on_dead != "ignore") find_dead(findings);
  if (options_.on_stale_bn != "ignore" && !statistics_before.empty())
    find_stale(statistics_before, step, findings);
  return findings;
}

void LayerHealth::find_vanishing(std::vector<LayerFinding>& findings) const {
  std::vector<std::pair<const Op*, double>> ratios;
  for (std::size_t i = 0; i < state_.graph().ops().size(); ++i) {
    const Op& op = state_.graph().ops()[i];
    if (!is_matrix(op.traits().weights) || !reached(i)) continue;
    const std::span<const float> weights = state_.parameter(op.parameters[0], state_.parameters());
    const double size = norm_of(weights);
    if (size == 0) continue;  // empty: another stage's
    const double ratio = norm_of(state_.parameter(op.parameters[0], state_.gradients())) / size;
    if (ratio == 0 && decided_[i]) continue;
    if (std::isfinite(ratio)) ratios.emplace_back(&op, ratio);
  }
  std::vector<double> sorted;  // of layers that get any
  for (const auto& [op, ratio] : ratios)
    if (ratio > 0) sorted.push_back(ratio);
  if (sorted.empty()) return;
  std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2));
  const double median = sorted[sorted.size() / 2];
  for (const auto& [op, ratio] : ratios)
    if (ratio < options_.vanishing_ratio * median)
      findings.push_back(
          {LayerTrouble::kVanishing, op->name,
           fmt::format("{}: its gradient vanishes: {:.1e} of its weights, beside {:.1e} in the "
                       "median layer",
                       op->name, ratio, median)});
}

void LayerHealth::find_dead(std::vector<LayerFinding>& findings) {
  const Graph& graph = state_.graph();
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const Op& op = graph.ops()[i];
    if (!op.traits().norm->of_channels() || !reached(i)) continue;
    const auto gamma = state_.parameter(op.parameters[0], state_.gradients());
    const auto beta = state_.parameter(op.parameters[1], state_.gradients());
    if (gamma.empty()) continue;
    std::vector<bool> silent(gamma.size());
    for (std::size_t c = 0; c < silent.size(); ++c) silent[c] = gamma[c] == 0 && beta[c] == 0;
    if (decided_[i] && std::ranges::find(silent, false) == silent.end()) continue;
    std::vector<bool>& before = silent_[static_cast<OpId>(i)];
    std::size_t dead = 0;
    for (std::size_t c = 0; c < before.size(); ++c) dead += silent[c] && before[c];
    before = silent;
    const double fraction = static_cast<double>(dead) / static_cast<double>(silent.size());
    if (fraction > options_.dead_fraction)
      findings.push_back(
          {LayerTrouble::kDead, op.name,
           fmt::format("{}: {} of {} channels are dead: no image of a step passes the ReLU "
                       "behind them",
                       op.name, dead, silent.size())});
  }
}

void LayerHealth::find_stale(std::span<const float> before, std::int64_t step,
                             std::vector<LayerFinding>& findings) const {
  constexpr double kSettled = 0.05;  // of what running statistics began with
  const std::vector<std::size_t> offsets = statistic_offsets(state_.graph(), state_.owned());
  const auto old = [&](int id, std::size_t c) {
    return static_cast<double>(before[offsets[static_cast<std::size_t>(id)] + c]);
  };
  for (std::size_t i = 0; i < state_.graph().ops().size(); ++i) {
    const Op& op = state_.graph().ops()[i];
    const Norm norm = op.traits().norm;
    if (!norm.of_batch()) continue;
    const int mean_id = op.first_statistic, var_id = mean_id + 1;
    const std::span<const float> mean = state_.statistic(mean_id), var = state_.statistic(var_id);
    const double kept = std::pow(1 - static_cast<double>(norm.momentum), micro_batches_),
                 moved = 1 - kept;
    const double seen = static_cast<double>(step) * share_of_steps(state_.graph(), gates_[i]);
    if (mean.empty() || std::pow(kept, seen) > kSettled) continue;
    double shift = 0, stretch = 0;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double old_mean = old(mean_id, c), old_var = old(var_id, c),
                   eps = static_cast<double>(norm.eps);
      const double batch_var =
          std::max(0.0, old_var + (static_cast<double>(var[c]) - old_var) / moved);
      shift += std::abs(static_cast<double>(mean[c]) - old_mean) / moved / std::sqrt(old_var + eps);
      stretch += std::abs(std::log((batch_var + eps) / (old_var + eps))) / std::log(4.0);
    }
    const double channels = static_cast<double>(mean.size());
    if (std::max(shift, stretch) / channels > options_.stale_distance)
      findings.push_back(
          {LayerTrouble::kStale, op.name,
           fmt::format("{}: running statistics are far from the batch's: means by {:.1f} standard "
                       "deviations, variances by a factor of {:.1f}; validation will suffer "
                       "(larger model.norm_momentum, smaller learning rate?)",
                       op.name, shift / channels, std::pow(4.0, stretch / channels))});
  }
}

std::string small_batch_warning(const Graph& graph, std::int64_t images, bool sync_bn) {
  constexpr std::int64_t kFewImages = 16, kFewValues = 32;
  for (const Op& op : graph.ops()) {
    if (!op.traits().norm->of_batch()) continue;
    const std::int64_t values = images * graph.value(op.output).shape.pixels();
    if (images >= kFewImages && values >= kFewValues) continue;
    return fmt::format(
        "batch norm takes its statistics of few images: {} has {} values a channel, of {} images. "
        "They will be noisy; use a larger train.batch, fewer train.micro_batches{}, or "
        "model.norm = group",
        op.name, values, images, sync_bn ? "" : ", train.sync_bn = true");
  }
  return "";
}

}  // namespace lockstep
