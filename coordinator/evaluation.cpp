#include "coordinator/evaluation.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "coordinator/feed.h"
#include "coordinator/plan/batches.h"
#include "data/loader.h"
#include "data/number_text.h"
#include "data/order.h"
#include "layers/loss.h"

namespace lockstep {

namespace {

/// Parts of an evaluation, each of at most `most` images; at least one, maybe of none.
std::vector<Positions> in_parts(Positions whole, std::int64_t most) {
  std::vector<Positions> parts;
  for (std::int64_t at = whole.begin; at < whole.end; at += most)
    parts.push_back({at, std::min(at + most, whole.end)});
  if (parts.empty()) parts.push_back({whole.begin, whole.begin});  // takes part in the sum
  return parts;
}

}  // namespace

ValidationMetrics evaluate(Engine& engine, const Dataset* dataset, std::int64_t samples,
                           const AugmentOptions& augment, int loader_threads,
                           const Communicator& group) {
  const Plan& plan = engine.eval_plan();
  // of a stage: several
  const std::int64_t at_once = std::int64_t{plan.max_images} * plan.micro_batches;
  const std::vector<Positions> runs =
      in_parts(part_of({0, samples}, group.rank(), group.size()), at_once);
  std::optional<Loader> loader;
  if (dataset)
    loader.emplace(
        *dataset, augment, 0,
        LoaderOptions{.threads = loader_threads, .batch_capacity = static_cast<int>(at_once)});
  Executor& executor = engine.evaluator();
  std::vector<std::vector<Positions>> micro_batches;
  for (const Positions& run : runs) {
    micro_batches.push_back(in_parts(run, plan.max_images));
    micro_batches.back().resize(static_cast<std::size_t>(plan.micro_batches), {run.end, run.end});
    std::vector<int> sizes;
    for (const Positions& part : micro_batches.back())
      sizes.push_back(static_cast<int>(part.count()));
    executor.prepare(sizes);
    if (!dataset) continue;
    std::vector<std::int64_t> indices(static_cast<std::size_t>(run.count()));
    std::iota(indices.begin(), indices.end(), run.begin);
    loader->request({.epoch = 0, .samples = std::move(indices), .training = false});
  }
  std::vector<StepContext> contexts;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Batch batch = dataset ? loader->next() : Batch{};
    contexts.clear();
    for (const Positions& part : micro_batches[r]) {
      const auto images = slice(batch, {}, {part.begin - runs[r].begin, part.end - runs[r].begin});
      contexts.push_back({.pixels = images.pixels.data(),
                          .labels = images.labels.data(),
                          .first_micro_batch = r == 0 && contexts.empty(),
                          .images = static_cast<int>(part.count()),
                          .update_running = false});
    }
    executor.run(contexts, r + 1 == runs.size());
  }
  const auto sums = executor.loss_sums();
  const double count = std::max(sums[3], 1.0);
  ValidationMetrics metrics{.samples = samples,
                            .loss = without_nan_sign(sums[0] / count),
                            .accuracy = sums[1] / count,
                            .top5 = sums[2] / count};
  if (sums.size() > kLossSums) metrics.mean_iou = mean_iou(sums.subspan(kLossSums));
  return metrics;
}

std::vector<Positions> reestimation_batches(const Engine& engine, std::int64_t samples, int batches,
                                            int ranks) {
  const std::int64_t batch = std::int64_t{engine.train_plan().max_images} * ranks;
  std::vector<Positions> all;
  for (int b = 0; b < batches && b * batch < samples; ++b)
    all.push_back(step_positions(b * batch, samples, batch));
  return all;
}

void reestimate_statistics(Engine& engine, const Dataset& dataset, std::int64_t samples,
                           const AugmentOptions& augment, int loader_threads, int batches,
                           std::uint64_t seed, const Communicator& group) {
  const EpochOrder order(samples, seed, 0);
  Loader loader(dataset, augment, seed,
                {.threads = loader_threads, .batch_capacity = engine.train_plan().max_images});
  Executor& executor = engine.estimator();
  std::vector<Positions> parts;
  for (Positions batch : reestimation_batches(engine, samples, batches, group.size())) {
    parts.push_back(part_of(batch, group.rank(), group.size()));
    loader.request({.epoch = 0, .samples = order.samples(parts.back().begin, parts.back().end)});
    executor.prepare(static_cast<int>(parts.back().count()));
  }
  std::span<float> statistics = engine.state().statistics();
  std::vector<double> mean(statistics.size(), 0.0);
  std::vector<float> before(statistics.begin(), statistics.end());
  for (const Positions& part : parts) {
    const Batch data = loader.next();
    // Each batch blends into the statistics before, with momentum m: undo the blend afterwards.
    std::ranges::copy(before, statistics.begin());
    executor.run({.pixels = data.pixels.data(),
                  .labels = data.labels.data(),
                  .images = static_cast<int>(part.count())});
    for (std::size_t i = 0; i < mean.size(); ++i)
      mean[i] += static_cast<double>(statistics[i]) / static_cast<double>(parts.size());
  }
  for (const Op& op : engine.graph().ops()) {
    const Norm norm = op.traits().norm;
    if (!norm.of_batch()) continue;
    for (int s : {op.first_statistic, op.first_statistic + 1}) {
      std::span<float> own = engine.state().statistic(s);
      const auto begin = static_cast<std::size_t>(own.data() - statistics.data());
      const double m = static_cast<double>(norm.momentum);
      for (std::size_t i = 0; i < own.size(); ++i)
        own[i] = static_cast<float>(
            (mean[begin + i] - (1 - m) * static_cast<double>(before[begin + i])) / m);
    }
  }
}

namespace {

/// Of the first images, by their own statistics; `batches` of reestimation_batches().
ValidationMetrics evaluate_by_own_statistics(Engine& engine, const Dataset& dataset,
                                             std::span<const Positions> batches,
                                             const AugmentOptions& augment, int loader_threads,
                                             const Communicator& group) {
  Loader loader(dataset, augment, 0,
                {.threads = loader_threads, .batch_capacity = engine.train_plan().max_images});
  Executor& executor = engine.estimator();
  ValidationMetrics metrics;
  double count = 0;
  for (const Positions& batch : batches) {
    const Positions part = part_of(batch, group.rank(), group.size());
    std::vector<std::int64_t> indices(static_cast<std::size_t>(part.count()));
    std::iota(indices.begin(), indices.end(), part.begin);
    loader.request({.epoch = 0, .samples = std::move(indices), .training = false});
    executor.prepare(static_cast<int>(part.count()));
    const Batch data = loader.next();
    executor.run({.pixels = data.pixels.data(),
                  .labels = data.labels.data(),
                  .images = static_cast<int>(part.count()),
                  .update_running = false});
    const auto sums = executor.loss_sums();
    metrics.loss += sums[0];
    metrics.accuracy += sums[1];
    count += sums[3];
  }
  metrics.loss /= std::max(count, 1.0);
  metrics.accuracy /= std::max(count, 1.0);
  return metrics;
}

}  // namespace

std::string stale_statistics(Engine& engine, const Dataset& dataset, std::int64_t samples,
                             const AugmentOptions& augment, int loader_threads,
                             const Communicator& group) {
  constexpr int kBatches = 2;
  // of the loss: more than what small batches do to it
  constexpr double kWorse = 1.5, kLeast = 0.1;
  if (engine.state().statistics().empty()) return "";
  const auto batches = reestimation_batches(engine, samples, kBatches, group.size());
  if (batches.empty()) return "";
  const std::int64_t images = batches.back().end;
  const ValidationMetrics own =
      evaluate_by_own_statistics(engine, dataset, batches, augment, loader_threads, group);
  const ValidationMetrics running =
      evaluate(engine, &dataset, images, augment, loader_threads, group);
  if (!(running.loss > kWorse * own.loss + kLeast))
    return "";  // also where a loss is no number, which is another matter
  return fmt::format(
      "batch norm's running statistics do not suit the weights: by the statistics of the first {} "
      "images "
      "themselves their loss is {:.4g} (accuracy {:.1f}%), by the running ones {:.4g} ({:.1f}%); "
      "--reestimate-bn 20 takes them from training data, --save keeps them",
      images, own.loss, 100 * own.accuracy, running.loss, 100 * running.accuracy);
}

}  // namespace lockstep
