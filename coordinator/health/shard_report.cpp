#include "coordinator/health/shard_report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "coordinator/plan/batches.h"
#include "data/order.h"
#include "data/validate.h"

namespace lockstep {
namespace {

std::int64_t sum(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

/// Of a shard that is drawn by chance: half the sum of its classes' mean deviations.
double skew_by_chance(const std::vector<std::int64_t>& whole, std::int64_t shard) {
  double skew = 0;
  for (std::int64_t count : whole) {
    const double part = static_cast<double>(count) / static_cast<double>(sum(whole));
    skew += std::sqrt(2 / M_PI * part * (1 - part) / static_cast<double>(shard)) / 2;
  }
  return skew;
}

}  // namespace

ShardReport report_shards(const Dataset& train, std::int64_t samples, std::int64_t batch,
                          int replicas, std::uint64_t seed) {
  const auto classes = static_cast<std::size_t>(train.info().classes);
  const EpochOrder order(samples, seed, 0);
  ShardReport report{.whole = std::vector<std::int64_t>(classes)};
  report.shards.assign(static_cast<std::size_t>(replicas), report.whole);
  for (std::int64_t cursor = 0; cursor < samples;) {
    const Positions step = step_positions(cursor, samples, batch);
    for (int r = 0; r < replicas; ++r) {
      const Positions part = part_of(step, r, replicas);
      for (std::int64_t at = part.begin; at < part.end; ++at) {
        const auto label = static_cast<std::size_t>(train.label(order.sample(at)));
        if (label >= classes) continue;  // an error of the data, told elsewhere
        ++report.shards[static_cast<std::size_t>(r)][label];
        ++report.whole[label];
      }
    }
    report.last_images = step.count();
    cursor = step.end;
  }
  for (const auto& shard : report.shards) report.skew.push_back(class_skew(shard, report.whole));
  return report;
}

std::vector<std::string> warnings(const ShardReport& report) {
  std::vector<std::string> found;
  const auto absent = std::ranges::count(report.whole, 0);
  if (absent > 0)
    found.push_back(fmt::format(
        "{} of {} classes have no training sample, the first of them class {}; are samples sorted "
        "by "
        "class, and data.train_samples takes the first?",
        absent, report.whole.size(), std::ranges::find(report.whole, 0) - report.whole.begin()));
  const auto replicas = static_cast<std::int64_t>(report.shards.size());
  if (report.last_images > 0 && report.last_images < replicas)
    found.push_back(fmt::format(
        "an epoch's last step has {} images for {} replicas: {} of them have none in it and wait; "
        "another train.batch or data.train_samples avoids that",
        report.last_images, replicas, replicas - report.last_images));
  constexpr double kMore = 0.1;
  for (std::size_t r = 0; r < report.skew.size(); ++r) {
    const std::int64_t samples = sum(report.shards[r]);
    if (samples == 0 || report.skew[r] <= kMore + skew_by_chance(report.whole, samples)) continue;
    found.push_back(
        fmt::format("replica {} sees other classes than the rest: {:.0f}% of its {} samples would "
                    "have to be of "
                    "another class; use another run.seed",
                    r, 100 * report.skew[r], samples));
  }
  return found;
}

std::string describe(const ShardReport& report) {
  const auto [least, most] = std::ranges::minmax(report.whole);
  const std::string text = fmt::format(
      "{} training samples of {} classes, {} of each", sum(report.whole), report.whole.size(),
      least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most));
  if (report.shards.size() < 2) return text;
  return text + fmt::format(
                    "; dealt out to {} replicas, whose shares have the same mix of classes but for "
                    "{:.1f}% of their samples at most",
                    report.shards.size(), 100 * std::ranges::max(report.skew));
}

}  // namespace lockstep
