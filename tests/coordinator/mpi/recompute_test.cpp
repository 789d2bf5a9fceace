// Recomputation changes no bit: gradients, running statistics and parameters after several steps are
// those of training that keeps everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "layers/model.h"
#include "tests/coordinator/engine_run.h"

namespace lockstep {
namespace {

struct Net {
  const char* name;
  ModelOptions model;
  Shape input{3, 16, 16};
};

ModelOptions custom(ModelOptions model) {
  model.family = "custom";
  if (model.counts.empty()) model.counts = {2, 2};
  model.widths = {16, 32};
  return model;
}

std::vector<Net> nets() {
  return {
      {"basic", custom({})},
      {"bottleneck", custom({.block = "bottleneck"})},
      {"pre-activation", custom({.pre_activation = true})},
      {"pre-activation bottleneck", custom({.block = "bottleneck", .pre_activation = true})},
      {"stem with max pooling", custom({.stem = "imagenet"}), {3, 32, 32}},
      {"squeeze-excitation", custom({.se_reduction = 4})},
      {"group norm, GELU", custom({.norm = "group", .norm_groups = 4, .activation = "gelu"})},
      {"dropout in blocks", {.family = "wide", .depth = 10, .widen = 1, .dropout = 0.3f}},
      {"dropout", custom({.dropout = 0.2f})},
      {"stochastic depth, padded shortcuts", custom({.shortcut = "A", .stochastic_depth = 0.5f})},
      {"projections without norm", custom({.projection_norm = false, .projection_gain = 0.5f})},
      {"plain", custom({.shortcut = "none"})},
      {"plain pre-activation", custom({.pre_activation = true, .shortcut = "none"})},
      {"conditional skips", custom({.conditional_skip = 0.5f})},
      {"learned skips", custom({.learned_skip = 0.5f})},
      {"highway", {.family = "highway", .counts = {2, 1}, .widths = {16, 32}}},
      {"MLP",
       {.family = "mlp",
        .dropout = 0.1f,
        .conditional_skip = 0.3f,
        .counts = {2, 1},
        .widths = {24, 16}}},
      {"ConvNeXt",
       {.family = "convnext", .stochastic_depth = 0.2f, .counts = {1, 2}, .widths = {16, 32}}},
      {"transformer",
       {.family = "transformer", .dropout = 0.1f, .counts = {3}, .widths = {16}, .heads = 2}},
      {"post-norm transformer",
       {.family = "transformer", .counts = {2}, .widths = {16}, .pre_norm = false}},
      {"hybrid transformer",
       {.family = "transformer", .counts = {2}, .widths = {16}, .hybrid = {1, 1}}},
      {"DenseNet", {.family = "densenet", .depth = 13, .growth = 16}},
      {"U-Net", {.family = "unet", .widths = {8, 16, 32}}},
      {"U-Net that adds",
       {.family = "unet", .widths = {8, 16}, .skip = "add", .upsample = "bilinear"}},
      {"residual U-Net", {.family = "unet", .widths = {8, 16}, .skip = "add", .residual = true}},
      {"groups", custom({.block = "bottleneck", .cardinality = 4})}};
}

/// What three steps leave behind.
struct Outcome {
  std::vector<float> parameters, gradients, statistics;
  std::size_t arena = 0;
  bool operator==(const Outcome& o) const {
    return parameters == o.parameters && gradients == o.gradients && statistics == o.statistics;
  }
};

class Recompute : public testing::Test {
 protected:
  Outcome train(const Net& net, const RecomputeOptions& recompute, int lanes, Storage activations,
                int micro_batches = 1) const {
    constexpr int kImages = 13, kClasses = 10;
    Graph graph = build_model(net.model, net.input, kClasses);
    const LayoutKind layout =
        activations == Storage::kBf16 ? LayoutKind::kNhwc : cpu::best_layout(graph);
    RankOptions options = engine_options(world_, kImages, lanes, layout, micro_batches);
    options.plan.activations = activations;
    options.optimizer = Sgd{.momentum = 0.9f, .weight_decay = 1e-4f};
    options.memory.recompute = recompute;
    Engine engine(plan_rank(std::move(graph), options), world_);
    engine.state().initialize(1);
    for (int step = 0; step < 3; ++step)
      run_step(engine.trainer(), layout, world_,
               random_batch_for(net.model, net.input, kImages, kClasses, 3 + at(step)),
               {.step = step, .learning_rate = 0.01f, .micro_batches = micro_batches});
    const auto copy = [](std::span<float> from) {
      return std::vector<float>(from.begin(), from.end());
    };
    ModelState& state = engine.state();
    return {copy(state.parameters()), copy(state.gradients()), copy(state.statistics()),
            engine.train_plan().arena_bytes};
  }
  static std::uint64_t at(int i) { return static_cast<std::uint64_t>(i); }

  void expect_same(const Net& net, int lanes, Storage activations, int micro_batches = 1) const {
    const Outcome whole = train(net, {}, lanes, activations, micro_batches);
    const std::vector<std::pair<const char*, RecomputeOptions>> ways{
        {"every:1", {.kind = RecomputeKind::kEvery, .every = 1}},
        {"every:2", {.kind = RecomputeKind::kEvery, .every = 2}},
        {"sqrt", {.kind = RecomputeKind::kSqrt}},
        {"auto, three quarters",
         {.kind = RecomputeKind::kAuto, .arena_bytes = whole.arena * 3 / 4}},
        {"auto, the least", {.kind = RecomputeKind::kAuto, .arena_bytes = 1}}};
    for (const auto& [name, recompute] : ways) {
      const Outcome found = train(net, recompute, lanes, activations, micro_batches);
      EXPECT_TRUE(found == whole) << net.name << ", " << name;
      if (world_.rank() == 0)
        std::printf("%s, %s: arena %.2f\n", net.name, name,
                    static_cast<double>(found.arena) / static_cast<double>(whole.arena));
    }
  }

  Communicator world_ = Communicator::world();
};

TEST_F(Recompute, ChangesNoBit) {
  for (const Net& net : nets()) expect_same(net, 2, Storage::kF32);
}

TEST_F(Recompute, ChangesNoBitOfMicroBatches) { expect_same(nets()[0], 1, Storage::kF32, 3); }

TEST_F(Recompute, ChangesNoBitInBf16) {
  const Net net = nets()[1];
  if (!runs_bf16(build_model(net.model, net.input, 10))) GTEST_SKIP() << "no bf16 on this CPU";
  expect_same(net, 2, Storage::kBf16);
}

/// Long enough for checkpoints inside checkpoints.
TEST_F(Recompute, ChangesNoBitOfALongChain) {
  expect_same({"a chain", custom({.counts = {9, 9}})}, 2, Storage::kF32);
}

}  // namespace
}  // namespace lockstep
