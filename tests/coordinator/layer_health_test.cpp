#include "coordinator/health/layer_health.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "coordinator/health/training_health.h"
#include "layers/branch_draws.h"

namespace lockstep {
namespace {

/// Three convolutions of 8 channels, each with batch norm and ReLU, a classifier; all gradients are one.
class Layers : public testing::Test {
 protected:
  static Graph make_graph() {
    Graph graph({3, 8, 8});
    ValueId at = graph.input();
    for (const std::string i : {"0", "1", "2"}) {
      at = graph.add("conv" + i, Conv2d{.out_channels = 8}, {at});
      at = graph.add("norm" + i, BatchNorm{}, {at});
      at = graph.add("relu" + i, Activation{}, {at});
    }
    at = graph.add("pool", GlobalAveragePool{}, {at});
    at = graph.add("fc", Linear{.out_features = 4}, {at});
    graph.add("loss", SoftmaxCrossEntropy{}, {at});
    return graph;
  }

  void SetUp() override {
    state_.initialize(1);
    std::ranges::fill(state_.gradients(), 1.0f);
  }
  std::span<float> gradient(const std::string& name) {
    const auto& all = graph_.parameters();
    const auto found = std::ranges::find(all, name, &Parameter::name);
    return state_.parameter(static_cast<ParameterId>(found - all.begin()), state_.gradients());
  }
  static std::vector<std::string> layers(const std::vector<LayerFinding>& findings,
                                         LayerTrouble trouble) {
    std::vector<std::string> names;
    for (const LayerFinding& f : findings)
      if (f.trouble == trouble) names.push_back(f.layer);
    return names;
  }
  using Names = std::vector<std::string>;

  const Graph graph_ = make_graph();
  ModelState state_{graph_, Sgd::rule()};
};

TEST_F(Layers, WellOnesAreLeftInPeace) {
  LayerHealth health(state_, {}, 1);
  for (int look = 0; look < 3; ++look) EXPECT_TRUE(health.look(state_.statistics(), 100).empty());
}

TEST_F(Layers, VanishingIsBesideTheMedian) {
  LayerHealth health(state_, {.vanishing_ratio = 1e-3}, 1);
  std::ranges::fill(gradient("conv0.weight"), 1e-5f);
  const auto found = health.look({}, 100);
  EXPECT_EQ(layers(found, LayerTrouble::kVanishing), Names{"conv0"});
  for (float& g : state_.gradients()) g *= 1e-20f;  // a flat minimum is no illness of one layer
  std::ranges::fill(gradient("conv0.weight"), 1e-20f);
  EXPECT_TRUE(health.look({}, 100).empty());
}

TEST_F(Layers, DeadChannelsAreThoseOfTwoLooks) {
  LayerHealth health(state_, {.dead_fraction = 0.25}, 1);
  const auto kill = [&](std::size_t channel, float beta) {
    gradient("norm1.weight")[channel] = 0;
    gradient("norm1.bias")[channel] = beta;
  };
  kill(0, 0);
  kill(1, 0);
  kill(2, 1);  // something comes through
  EXPECT_TRUE(health.look({}, 100).empty());
  EXPECT_TRUE(health.look({}, 100).empty());  // a quarter may
  kill(2, 0);
  EXPECT_TRUE(health.look({}, 100).empty());  // new
  EXPECT_EQ(layers(health.look({}, 100), LayerTrouble::kDead), Names{"norm1"});
}

TEST_F(Layers, StaleStatistics) {
  const auto offsets = statistic_offsets(graph_);
  const auto look = [&](double batch_mean, double batch_var, int micro_batches) {
    // mean 0, var 1
    const std::vector<float> before(state_.statistics().begin(), state_.statistics().end());
    const double moved = 1 - std::pow(0.9, micro_batches);
    for (std::size_t c = 0; c < 8; ++c) {
      state_.statistics()[offsets[2] + c] = static_cast<float>(moved * batch_mean);
      state_.statistics()[offsets[3] + c] = static_cast<float>(1 + moved * (batch_var - 1));
    }
    const auto found = LayerHealth(state_, {}, micro_batches).look(before, 100);
    std::ranges::copy(before, state_.statistics().begin());
    return layers(found, LayerTrouble::kStale);
  };
  EXPECT_EQ(look(0.9, 1, 1), Names{});
  EXPECT_EQ(look(-1.1, 1, 1), Names{"norm1"});
  EXPECT_EQ(look(1.1, 1, 4), Names{"norm1"});
  EXPECT_EQ(look(0, 3.9, 1), Names{});
  EXPECT_EQ(look(0, 4.2, 2), Names{"norm1"});
  EXPECT_EQ(look(0, 0.2, 1), Names{"norm1"});
}

/// A residual block whose branch ends with `last`, between two convolutions; all gradients are one.
class Branches : public testing::Test {
 protected:
  template <class Last>
  static Graph make_graph(Last last) {
    Graph graph({3, 8, 8});
    const ValueId stem = graph.add("stem", Conv2d{.out_channels = 8}, {graph.input()});
    ValueId branch = graph.add("conv", Conv2d{.out_channels = 8}, {stem});
    branch = graph.add("norm", BatchNorm{}, {branch});
    branch = graph.add("last", last, {branch});
    const ValueId sum = graph.add("add", Add{}, {branch, stem});
    const ValueId pooled = graph.add("pool", GlobalAveragePool{}, {sum});
    graph.add("loss", SoftmaxCrossEntropy{},
              {graph.add("fc", Linear{.out_features = 4}, {pooled})});
    return graph;
  }
  /// What two looks at a step find where the branch's gradients are 0.
  static std::vector<std::string> found(const Graph& graph, const StepDraws& draws,
                                        bool zero_gamma = false) {
    ModelState state(graph, Sgd::rule());
    state.initialize(1);
    std::ranges::fill(state.gradients(), 1.0f);
    for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
      const std::string& name = graph.parameters()[p].name;
      const auto id = static_cast<ParameterId>(p);
      if (name == "last.weight" && zero_gamma)
        std::ranges::fill(state.parameter(id, state.parameters()), 0.0f);
      if (name.starts_with("conv.") || name.starts_with("norm."))
        std::ranges::fill(state.parameter(id, state.gradients()), 0.0f);
    }
    LayerHealth health(state, {}, 1);
    std::vector<std::string> layers;
    for (int look = 0; look < 2; ++look) {
      health.prepare(draws);
      for (const LayerFinding& finding : health.look({}, 100))
        if (std::ranges::find(layers, finding.layer) == layers.end())
          layers.push_back(finding.layer);
    }
    return layers;
  }
  /// The first step whose draw is `gate`.
  static StepDraws drawn(const Graph& graph, float gate) {
    for (StepDraws draws{.seed = 1};; ++draws.step)
      for (std::size_t i = 0; i < graph.ops().size(); ++i)
        if (const auto* op = std::get_if<BranchGate>(&graph.ops()[i].attributes))
          if (branch_gate(op->keep, static_cast<OpId>(i), draws.seed, draws.step) == gate)
            return draws;
  }
  const std::vector<std::string> kIll{"conv", "norm"};
};

TEST_F(Branches, GatedOffForAStepTheyAreWell) {
  const Graph graph = make_graph(BranchGate{.keep = 0.5f});
  EXPECT_TRUE(found(graph, drawn(graph, 0)).empty());
  EXPECT_EQ(found(graph, drawn(graph, 1)), kIll);
}

TEST_F(Branches, DroppedForAllImagesTheyAreWell) {
  const Graph dropped = make_graph(StochasticDepth{.keep = 1e-6f}),
              kept = make_graph(StochasticDepth{.keep = 0.99f});
  EXPECT_TRUE(found(dropped, {.positions = {0, 64}}).empty());
  EXPECT_EQ(found(kept, {.positions = {0, 64}}), kIll);
}

TEST_F(Branches, BehindAScaleOfZeroTheyAreWell) {
  EXPECT_TRUE(found(make_graph(BatchNorm{}), {}, true).empty());
  EXPECT_EQ(found(make_graph(BatchNorm{}), {}, false), kIll);
  EXPECT_TRUE(found(make_graph(LayerScale{}), {}, true).empty());
}

/// A branch whose gate is decided for every image: its gradients alone say that all skipped it.
TEST(LearnedSkips, ThatAllImagesTakeAreWell) {
  Graph graph({3, 8, 8});
  const ValueId stem = graph.add("stem", Conv2d{.out_channels = 8}, {graph.input()});
  ValueId branch = graph.add("conv", Conv2d{.out_channels = 8}, {stem});
  branch = graph.add("norm", BatchNorm{}, {branch});
  const ValueId odds =
      graph.add("odds", Linear{1}, {graph.add("mean", GlobalAveragePool{}, {stem})});
  const ValueId gate = graph.add("gate", ImageGate{}, {odds});
  branch = graph.add("skip", ChannelScale{}, {branch, gate});
  const ValueId sum = graph.add("add", Add{}, {branch, stem});
  const ValueId pooled = graph.add("pool", GlobalAveragePool{}, {sum});
  graph.add("loss", SoftmaxCrossEntropy{}, {graph.add("fc", Linear{.out_features = 4}, {pooled})});
  std::vector<std::string> behind;
  const std::vector<bool> decided = behind_decisions(graph);
  for (std::size_t i = 0; i < decided.size(); ++i)
    if (decided[i]) behind.push_back(graph.ops()[i].name);
  EXPECT_EQ(behind, (std::vector<std::string>{"conv", "norm"}));

  ModelState state(graph, Sgd::rule());
  state.initialize(1);
  const auto found = [&](float of_conv, float of_first_channel) {
    std::ranges::fill(state.gradients(), 1.0f);
    for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
      const std::string& name = graph.parameters()[p].name;
      const auto gradient = state.parameter(static_cast<ParameterId>(p), state.gradients());
      if (name.starts_with("conv.")) std::ranges::fill(gradient, of_conv);
      if (!name.starts_with("norm.")) continue;
      std::ranges::fill(gradient, 0.0f);
      gradient[0] = of_first_channel;
    }
    LayerHealth health(state, {}, 1);
    std::vector<std::string> layers;
    for (int look = 0; look < 2; ++look)
      for (const LayerFinding& finding : health.look({}, 100)) layers.push_back(finding.layer);
    return layers;
  };
  EXPECT_TRUE(found(0, 0).empty());
  // Images come through, and what they leave is ill.
  EXPECT_EQ(found(1e-20f, 1), (std::vector<std::string>{"conv", "conv", "norm"}));
}

// A step that leaves a branch out tells its running statistics nothing.
TEST_F(Branches, StatisticsSettleInTheStepsThatSeeThem) {
  const Graph graph = make_graph(BranchGate{.keep = 0.5f});
  ModelState state(graph, Sgd::rule());
  state.initialize(1);
  const std::vector<float> before(state.statistics().begin(), state.statistics().end());
  std::ranges::fill(state.statistics(), 9.0f);
  LayerHealth health(state, {.on_vanishing = "ignore", .on_dead = "ignore"}, 1);
  EXPECT_EQ(health.look(before, 56).size(), 0u);  // 0.9^28 > 0.05
  EXPECT_EQ(health.look(before, 58).size(), 1u);
}

TEST_F(Layers, WhatIsIgnoredIsNotLookedFor) {
  std::ranges::fill(state_.gradients(), 0.0f);
  LayerHealth health(state_,
                     {.on_vanishing = "ignore", .on_dead = "ignore", .on_stale_bn = "ignore"}, 1);
  const std::vector<float> before(state_.statistics().size(), 5.0f);
  for (int look = 0; look < 2; ++look) EXPECT_TRUE(health.look(before, 100).empty());
}

TEST_F(Layers, ASkippedStepGivesStatisticsBack) {
  TrainingHealth health({.on_nan = "skip"}, &state_, 1);
  const std::vector<float> before(state_.statistics().begin(), state_.statistics().end());
  health.before_step(1, {});
  std::ranges::fill(state_.statistics(), std::nanf(""));
  gradient("conv1.weight")[3] = std::nanf("");
  EXPECT_EQ(health.sick_gradients(),
            "1 of 11 gradients are not finite, from conv1.weight to conv1.weight");
  EXPECT_EQ(health.after_step({.step = 1, .loss = std::nan(""), .held = true}).action,
            HealthAction::kSkip);
  EXPECT_TRUE(std::ranges::equal(state_.statistics(), before));
}

// They begin with mean 0 and variance 1, whatever the images are.
TEST_F(Layers, StatisticsAreNotJudgedBeforeTheyHaveSettled) {
  const std::vector<float> before(state_.statistics().begin(), state_.statistics().end());
  std::ranges::fill(state_.statistics(), 9.0f);
  LayerHealth health(state_, {}, 1);
  EXPECT_EQ(health.look(before, 1).size(), 0u);
  EXPECT_EQ(health.look(before, 28).size(), 0u);  // 0.9^28 > 0.05
  EXPECT_EQ(health.look(before, 29).size(), 3u);
  EXPECT_EQ(LayerHealth(state_, {}, 4).look(before, 8).size(), 3u);  // of four micro-batches a step
}

TEST_F(Layers, FewImages) {
  EXPECT_EQ(small_batch_warning(graph_, 16, true), "");
  EXPECT_NE(small_batch_warning(graph_, 15, true), "");
  EXPECT_NE(
      small_batch_warning(graph_, 4, true).find("norm0 has 256 values a channel, of 4 images"),
      std::string::npos);
  EXPECT_EQ(small_batch_warning(graph_, 4, true).find("sync_bn"), std::string::npos);
  EXPECT_NE(small_batch_warning(graph_, 2, false).find("train.sync_bn = true"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
