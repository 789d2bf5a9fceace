#include "coordinator/evaluation.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "coordinator/batches.h"
#include "data/loader.h"
#include "data/order.h"
#include "layers/loss.h"

namespace lockstep {

ValidationMetrics evaluate(Engine& engine, const Dataset& dataset, std::int64_t samples,
                           const AugmentOptions& augment, int loader_threads,
                           const Communicator& group) {
  const Positions mine = part_of({0, samples}, group.rank(), group.size());
  const int capacity = engine.eval_plan().max_images;
  Loader loader(dataset, augment, 0, {.threads = loader_threads, .batch_capacity = capacity});
  std::vector<int> sizes;
  for (std::int64_t at = mine.begin; at < mine.end; at += capacity) {
    std::vector<std::int64_t> indices(
        static_cast<std::size_t>(std::min<std::int64_t>(capacity, mine.end - at)));
    std::iota(indices.begin(), indices.end(), at);
    sizes.push_back(static_cast<int>(indices.size()));
    loader.request({.epoch = 0, .samples = std::move(indices), .training = false});
  }
  if (sizes.empty()) {  // this rank has none, but takes part in the sum
    sizes.push_back(0);
    loader.request({.epoch = 0, .samples = {}, .training = false});
  }
  Executor& executor = engine.evaluator();
  for (int size : sizes) executor.prepare(size);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Batch batch = loader.next();
    const StepContext context{.pixels = batch.pixels.data(), .labels = batch.labels.data(),
                              .first_micro_batch = i == 0, .images = sizes[i],
                              .update_running = false};
    executor.run(context, i + 1 == sizes.size());
  }
  const auto sums = executor.loss_sums();
  const double count = std::max(sums[3], 1.0);
  ValidationMetrics metrics{.samples = samples, .loss = sums[0] / count,
                            .accuracy = sums[1] / count, .top5 = sums[2] / count};
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
    executor.run({.pixels = data.pixels.data(), .labels = data.labels.data(),
                  .images = static_cast<int>(part.count())});
    for (std::size_t i = 0; i < mean.size(); ++i)
      mean[i] += static_cast<double>(statistics[i]) / static_cast<double>(parts.size());
  }
  for (const Op& op : engine.graph().ops()) {
    const auto* norm = std::get_if<BatchNorm>(&op.attributes);
    if (!norm) continue;
    for (int s : {op.first_statistic, op.first_statistic + 1}) {
      std::span<float> own = engine.state().statistic(s);
      const auto begin = static_cast<std::size_t>(own.data() - statistics.data());
      const double m = static_cast<double>(norm->momentum);
      for (std::size_t i = 0; i < own.size(); ++i)
        own[i] = static_cast<float>(
            (mean[begin + i] - (1 - m) * static_cast<double>(before[begin + i])) / m);
    }
  }
}

}  // namespace lockstep
