// Branches that a step switches off are left out: to the bit what computing them gives, but for their running
// statistics, which stay.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "coordinator/plan/switches.h"
#include "layers/branch_draws.h"
#include "layers/model.h"
#include "tests/coordinator/engine_run.h"

namespace lockstep {
namespace {

constexpr int kImages = 13, kClasses = 10;
constexpr std::uint64_t kSeed = 5;  // run_step's

struct Net {
  const char* name;
  ModelOptions model;
};

ModelOptions custom(ModelOptions model) {
  model.family = "custom";
  model.counts = {2, 2};
  model.widths = {16, 32};
  return model;
}

std::vector<Net> nets() {
  return {
      {"basic", custom({.conditional_skip = 0.9f})},
      {"pre-activation", custom({.pre_activation = true, .conditional_skip = 0.9f})},
      {"projections everywhere", custom({.shortcut = "C", .conditional_skip = 0.9f})},
      {"bottleneck", custom({.block = "bottleneck", .se_reduction = 4, .conditional_skip = 0.9f})},
      {"group norm",
       custom({.norm = "group", .norm_groups = 4, .conditional_skip = 0.9f, .activation = "gelu"})},
      {"stochastic depth", custom({.stochastic_depth = 0.999f})},
      {"both", custom({.stochastic_depth = 0.99f, .conditional_skip = 0.5f})},
      {"MLP",
       {.family = "mlp", .dropout = 0.1f, .conditional_skip = 0.9f, .counts = {3}, .widths = {24}}},
      {"ConvNeXt",
       {.family = "convnext", .stochastic_depth = 0.99f, .counts = {1, 2}, .widths = {16, 32}}},
      {"transformer",
       {.family = "transformer",
        .conditional_skip = 0.9f,
        .counts = {3},
        .widths = {16},
        .heads = 2}}};
}

std::vector<float> copy(std::span<const float> from) { return {from.begin(), from.end()}; }

class SwitchedOff : public testing::Test {
 protected:
  struct How {
    int lanes = 2, micro_batches = 1;
    RecomputeOptions recompute = {};
    Storage activations = Storage::kF32;
  };

  std::unique_ptr<Engine> engine(const Net& net, const How& how) {
    Graph graph = build_model(net.model, kInput, kClasses);
    layout_ = how.activations == Storage::kBf16 ? LayoutKind::kNhwc : cpu::best_layout(graph);
    RankOptions options = engine_options(world_, kImages, how.lanes, layout_, how.micro_batches);
    options.plan.activations = how.activations;
    options.optimizer = Sgd{.momentum = 0.9f, .weight_decay = 1e-4f};
    options.memory.recompute = how.recompute;
    auto made = std::make_unique<Engine>(plan_rank(std::move(graph), options), world_);
    made->state().initialize(1);
    return made;
  }

  double step(Engine& engine, int number, bool leaves_out, int micro_batches = 1) {
    const TestBatch batch =
        random_batch(kInput, kImages, kClasses, 3 + static_cast<std::uint64_t>(number));
    return run_step(engine.trainer(), layout_, world_, batch,
                    {.step = number,
                     .learning_rate = 0.02f,
                     .micro_batches = micro_batches,
                     .leaves_out = leaves_out});
  }

  static bool is_off(const Graph& graph, const std::vector<OpId>& gates, int step) {
    return std::ranges::any_of(
        gates, [&](OpId id) { return switched_off(graph.op(id), id, kSeed, step, 0, kImages); });
  }

  /// Norms that are off keep the statistics that they had; how many that were.
  static int expect_statistics(Engine& found, Engine& computed, const std::vector<float>& before,
                               int step) {
    const Graph& graph = found.graph();
    const auto gates = gates_behind(graph);
    int off = 0;
    for (std::size_t i = 0; i < graph.ops().size(); ++i) {
      const Op& op = graph.ops()[i];
      if (!std::holds_alternative<BatchNorm>(op.attributes)) continue;
      const bool left_out = is_off(graph, gates[i], step);
      off += left_out;
      for (int id : {op.first_statistic, op.first_statistic + 1}) {
        const std::span<float> own = found.state().statistic(id);
        const auto old = before.begin() + (own.data() - found.state().statistics().data());
        const std::vector<float> expected =
            left_out ? std::vector<float>(old, old + static_cast<std::ptrdiff_t>(own.size()))
                     : copy(computed.state().statistic(id));
        EXPECT_EQ(copy(own), expected) << op.name << ", step " << step;
      }
    }
    return off;
  }

  /// Both go on from the same statistics: evaluation alone reads them, training does not.
  void expect_same(const Net& net, const How& how) {
    SCOPED_TRACE(net.name);
    const auto found = engine(net, how), computed = engine(net, how);
    int off = 0;
    for (int number = 0; number < 4; ++number) {
      const std::vector<float> before = copy(found->state().statistics());
      std::ranges::copy(before, computed->state().statistics().begin());
      EXPECT_EQ(step(*found, number, true, how.micro_batches),
                step(*computed, number, false, how.micro_batches));
      EXPECT_EQ(copy(found->state().gradients()), copy(computed->state().gradients()))
          << "step " << number;
      EXPECT_EQ(copy(found->state().parameters()), copy(computed->state().parameters()))
          << "step " << number;
      off += expect_statistics(*found, *computed, before, number);
    }
    EXPECT_EQ(off > 0, !found->graph().statistics().empty());
  }

  const Shape kInput{3, 8, 8};
  Communicator world_ = Communicator::world();
  LayoutKind layout_ = LayoutKind::kNhwc;
};

TEST_F(SwitchedOff, GivesTheSameBits) {
  for (const Net& net : nets()) expect_same(net, {});
}

TEST_F(SwitchedOff, GivesTheSameBitsInMicroBatchesAndByReplays) {
  for (const Net& net : {nets()[0], nets()[1]}) {
    expect_same(net, {.lanes = 3, .micro_batches = 2});
    expect_same(net, {.recompute = {.kind = RecomputeKind::kEvery, .every = 1}});
    expect_same(net, {.recompute = {.kind = RecomputeKind::kAuto, .arena_bytes = 1}});
  }
}

TEST_F(SwitchedOff, GivesTheSameBitsInBf16) {
  if (!runs_bf16(build_model(nets()[0].model, kInput, kClasses)))
    GTEST_SKIP() << "no bf16 on this CPU";
  expect_same(nets()[0], {.activations = Storage::kBf16});
}

/// What is computed with such weights is not finite, and neither is zero times that.
TEST_F(SwitchedOff, IsNotComputed) {
  const auto trained = engine(nets()[0], {});
  const Graph& graph = trained->graph();
  const auto gates = gates_behind(graph);
  int number = 0;
  const auto weights_off = [&] {
    std::vector<ParameterId> off;
    for (std::size_t i = 0; i < graph.ops().size(); ++i)
      if (is_off(graph, gates[i], number))
        off.insert(off.end(), graph.ops()[i].parameters.begin(), graph.ops()[i].parameters.end());
    return off;
  };
  while (weights_off().empty()) ++number;
  ModelState& state = trained->state();
  for (ParameterId p : weights_off())
    std::ranges::fill(state.parameter(p, state.parameters()),
                      std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isfinite(step(*trained, number, true)));
  EXPECT_TRUE(
      std::ranges::all_of(copy(state.gradients()), [](float v) { return std::isfinite(v); }));
  for (ParameterId p : weights_off())
    EXPECT_TRUE(
        std::ranges::all_of(state.parameter(p, state.gradients()), [](float v) { return v == 0; }));
}

}  // namespace
}  // namespace lockstep
