#pragma once
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coordinator/engine.h"
#include "coordinator/plan/batches.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/cpu/instruction_set.h"
#include "layers/layout.h"
#include "tests/coordinator/test_batch.h"

namespace lockstep {

/// [N,C,H,W], as golden files have it, from what an executor's [N,H,W,C] is; vectors stay.
inline std::vector<float> plain_order(std::span<const float> found, const Shape& s) {
  std::vector<float> plain(found.size());
  const auto pixels = static_cast<std::size_t>(s.pixels()),
             channels = static_cast<std::size_t>(s.channels);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::size_t image = i / (pixels * channels), in = i % (pixels * channels);
    plain[(image * channels + in % channels) * pixels + in / channels] = found[i];
  }
  return plain;
}

/// A rank's part of a batch as executors read it.
struct BatchPart {
  std::vector<float> pixels;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> positions;  // in the batch
};

inline BatchPart part_of_batch(const TestBatch& batch, LayoutKind layout, Positions which) {
  BatchPart part;
  const auto channels = batch.images.dim(1), pixels = batch.images.dim(2) * batch.images.dim(3);
  for (std::int64_t n = which.begin; n < which.end; ++n) {
    for (std::int64_t i = 0; i < channels * pixels; ++i) {
      const std::int64_t plain =
          planar_input(layout) ? i : i % channels * pixels + i / channels;  // from [H,W,C]
      part.pixels.push_back(static_cast<float>(batch.images[n * channels * pixels + plain]));
    }
    const auto each = static_cast<std::int64_t>(batch.labels.size()) / batch.count();
    part.labels.insert(part.labels.end(), batch.labels.begin() + n * each,
                       batch.labels.begin() + (n + 1) * each);
    part.positions.push_back(n);
  }
  return part;
}

/// What a step is made of besides the batch.
struct TestStep {
  std::int64_t step = 0;
  float learning_rate = 0;
  int micro_batches = 1;
  bool update_running = true;
  bool leaves_out = true;
};

/// Runs all micro-batches of one step on this rank's part of the batch; the loss, a mean over the
/// batch.
inline double run_step(Executor& executor, LayoutKind layout, const Communicator& group,
                       const TestBatch& batch, const TestStep& how = {}) {
  for (int micro = 0; micro < how.micro_batches; ++micro) {
    const BatchPart part =
        part_of_batch(batch, layout,
                      micro_batch_positions({0, batch.count()}, group.rank(), group.size(), micro,
                                            how.micro_batches));
    const StepContext context{.step = how.step,
                              .seed = 5,
                              .loss_divisor = static_cast<double>(batch.count()),
                              .positions = part.positions,
                              .step_begin = 0,
                              .step_end = batch.count(),
                              .leaves_out = how.leaves_out,
                              .pixels = part.pixels.data(),
                              .labels = part.labels.data(),
                              .first_micro_batch = micro == 0,
                              .images = static_cast<int>(part.positions.size()),
                              .update_running = how.update_running,
                              .learning_rate = how.learning_rate,
                              .slot_updates = how.step};
    executor.prepare(context.images);
    executor.run(context, micro + 1 == how.micro_batches);
  }
  const auto sums = executor.loss_sums();
  return sums[0] / sums[3];
}

/// Options of a test's engine: one rank's share of `images` in each step.
inline RankOptions engine_options(const Communicator& group, std::int64_t images, int lanes,
                                  LayoutKind layout, int micro_batches = 1) {
  RankOptions options;
  options.micro_batches = micro_batches;
  options.replicas = group.size();
  options.plan.lanes = lanes;
  options.plan.max_images = largest_micro_batch(images, group.size(), micro_batches);
  options.plan.layout = layout;
  options.plan.bucket_bytes = 16 << 10;  // small nets, several buckets
  return options;
}

inline const char* layout_name(LayoutKind layout) {
  switch (layout) {
    case LayoutKind::kNhwc:
      return "nhwc";
    case LayoutKind::kBlocked8:
      return "blocked8";
    case LayoutKind::kBlocked16:
      return "blocked16";
  }
  return "?";
}

/// The layouts that this CPU has kernels for and that the graph's channels allow.
inline std::vector<LayoutKind> layouts_of(const Graph& graph) {
  std::vector<LayoutKind> layouts{LayoutKind::kNhwc};
  for (int block : {8, 16}) {
    const LayoutKind layout = choose_layout(graph, block);
    if (layout != LayoutKind::kNhwc && cpu::has_kernels(graph, layout)) layouts.push_back(layout);
  }
  return layouts;
}

/// Whether this CPU and the graph allow activations in bf16.
inline bool runs_bf16(const Graph& graph) {
  return cpu::bf16_support() != cpu::Bf16Support::kEmulated && bf16_obstacle(graph).empty() &&
         cpu::has_kernels(graph, LayoutKind::kNhwc, Storage::kBf16);
}

/// Relative L2 difference; infinite if the sizes differ.
inline double difference(std::span<const float> found, const std::vector<double>& expected) {
  if (found.size() != expected.size()) return INFINITY;
  double apart = 0, whole = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    apart += std::pow(static_cast<double>(found[i]) - expected[i], 2);
    whole += expected[i] * expected[i];
  }
  return std::sqrt(apart) / std::max(std::sqrt(whole), 1e-30);
}

}  // namespace lockstep
