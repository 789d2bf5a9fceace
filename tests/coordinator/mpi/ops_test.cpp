// Every op, as the executor runs it in float32, against its naive twin in double precision: small
// graphs around one op, in nhwc with odd shapes and in the blocked layouts, forward and backward,
// training and evaluation, one lane and several.
#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "data/random.h"
#include "layers/loss.h"
#include "tests/coordinator/engine_run.h"
#include "tests/coordinator/mpi/op_cases.h"
#include "tests/golden/reference_graph.h"

namespace lockstep {
namespace {

using reference::Tensor;

// Most are within 1e-6. The worst are a mean close to zero and the shift of a norm before another
// norm, whose sums cancel: 4e-6 and 4e-5 with SSE2 kernels, 1e-6 and 5e-6 with AVX-512.
constexpr double kForward = 1e-5, kBackward = 1e-4;

// In bf16 a stored number is off by up to 2^-9 of itself, and there are up to ten in a row between
// the images and the loss (most: 5e-3), twice as many to a gradient (most: 6e-3). The largest
// differences, 1e-2 and 9e-2, are those of statistics near zero, and of ReLUs and maxima whose
// inputs are so near to each other that another pixel's gradient is taken.
constexpr double kForwardBf16 = 0x1p-6, kBackwardBf16 = 0x1p-3;

Graph graph_of(const OpCase& c, const Shape& input, int channels) {
  Graph g(input);
  const ValueId y = c.body(g, conv(g, "first", g.input(), channels));
  const ValueId pooled =
      g.value(y).shape.pixels() > 1 ? g.add("global_pool", GlobalAveragePool{}, {y}) : y;
  g.add("loss", SoftmaxCrossEntropy{0.1f}, {g.add("classifier", Linear{7}, {pooled})});
  return g;
}

/// Values that floats hold exactly: a norm's scales around 1, weights with variance 2 / fan-in.
Tensor start_of(const Parameter& p, std::uint64_t seed) {
  Tensor t = reference::random_tensor(p.dims, seed);
  double fan_in = 1;
  for (std::size_t d = 1; d < p.dims.size(); ++d) fan_in *= static_cast<double>(p.dims[d]);
  const bool scales = p.dims.size() == 1 && p.init == Init::kConstant;
  for (double& v : t.values)
    v = static_cast<float>(p.dims.size() > 1 ? v * std::sqrt(2 / fan_in)
                                             : (scales ? 1.0 : 0.0) + 0.2 * v);
  return t;
}

/// The largest differences of one executor from the twins.
struct Worst {
  double forward = 0, backward = 0;
};

class Comparison {
 public:
  Comparison(const Graph& graph, const TestBatch& batch) : Comparison(graph, graph, batch) {}
  /// `twin`: the same parameters, without ops that the twins do not have.
  Comparison(const Graph& graph, const Graph& twin, const TestBatch& batch)
      : graph_(graph),
        batch_(batch),
        twin_graph_(twin),
        twin_(twin),
        group_(Communicator::world()) {
    std::uint64_t seed = 11;
    for (const Parameter& p : graph.parameters()) twin_.parameters[p.name] = start_of(p, seed++);
    start_ = twin_.parameters;
    loss_ = twin_.forward(batch.images, batch.labels, true);
    gradients_ = twin_.backward();
    twin_.forward(batch.images, batch.labels, false);
  }

  Worst run(LayoutKind layout, int lanes, Storage activations = Storage::kF32) {
    const bool bf16 = activations == Storage::kBf16;
    const double forward = bf16 ? kForwardBf16 : kForward;
    const double backward = bf16 ? kBackwardBf16 : kBackward;
    SCOPED_TRACE(std::string(layout_name(layout)) + (bf16 ? ", bf16" : "") +
                 ", lanes: " + std::to_string(lanes));
    Worst worst;
    RankOptions options = engine_options(group_, batch_.count(), lanes, layout);
    options.plan.activations = activations;
    Engine engine(plan_rank(graph_, options), group_);
    ModelState& state = engine.state();
    state.initialize(0);
    for (std::size_t p = 0; p < graph_.parameters().size(); ++p)
      std::ranges::copy(start_.at(graph_.parameters()[p].name).values,
                        state.parameter(static_cast<int>(p), state.parameters()).begin());
    const double loss = run_step(engine.trainer(), layout, group_, batch_);
    near(std::abs(loss - loss_), forward, "loss", worst.forward);
    for (std::size_t p = 0; p < graph_.parameters().size(); ++p) {
      const std::string& name = graph_.parameters()[p].name;
      near(difference(state.parameter(static_cast<int>(p), state.gradients()),
                      gradients_.at(name).values),
           backward, name, worst.backward);
    }
    for (std::size_t s = 0; s < graph_.statistics().size(); ++s) {
      const std::string& name = graph_.statistics()[s].name;
      near(difference(state.statistic(static_cast<int>(s)), twin_.statistics.at(name).values),
           forward, name, worst.forward);
    }
    run_step(engine.evaluator(), layout, group_, batch_);
    const ValueId last = twin_graph_.ops().back().inputs[0];
    const std::vector<double>& logits = twin_.value(last).values;
    near(difference(plain_order({engine.evaluator().logits(), logits.size()},
                                twin_graph_.value(last).shape),
                    logits),
         forward, "logits of the evaluation", worst.forward);
    return worst;
  }

 private:
  static void near(double off, double bound, const std::string& what, double& worst) {
    EXPECT_LT(off, bound) << what;
    worst = std::max(worst, off);
  }

  const Graph& graph_;
  const TestBatch& batch_;
  const Graph& twin_graph_;
  ReferenceGraph twin_;
  Communicator group_;
  ReferenceGraph::Tensors start_, gradients_;
  double loss_ = 0;
};

class Ops : public testing::TestWithParam<OpCase> {};

TEST_P(Ops, EqualTheirTwins) {
  struct Size {
    Shape input;
    int channels;
  };
  Worst worst, worst_bf16;
  for (const Size& size : {Size{{2, 7, 5}, 6}, Size{{3, 6, 7}, 16}}) {
    const Graph graph = graph_of(GetParam(), size.input, size.channels);
    const TestBatch batch = random_batch(size.input, 5, 7);
    Comparison comparison(graph, batch);
    for (LayoutKind layout : layouts_of(graph)) {
      const Worst w = comparison.run(layout, layout == LayoutKind::kBlocked8 ? 1 : 2);
      worst = {std::max(worst.forward, w.forward), std::max(worst.backward, w.backward)};
    }
    if (!runs_bf16(graph)) continue;
    const Worst w = comparison.run(LayoutKind::kNhwc, 2, Storage::kBf16);
    worst_bf16 = {std::max(worst_bf16.forward, w.forward),
                  std::max(worst_bf16.backward, w.backward)};
  }
  std::printf("forward %.1e backward %.1e, bf16 %.1e %.1e  %s\n", worst.forward, worst.backward,
              worst_bf16.forward, worst_bf16.backward, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(All, Ops, testing::ValuesIn(op_cases()),
                         [](const auto& test) { return std::string(test.param.name); });

/// Ops that draw, but with probabilities that leave nothing to chance.
TEST(OpsThatAreOff, EqualTheirInput) {
  const Shape input{3, 6, 7};
  const auto body = [](bool off) {
    return [off](Graph& g, ValueId x) {
      const ValueId a = off ? g.add("dropout", Dropout{0.0f}, {x}) : x;
      const ValueId b = relu(g, "relu", g.add("norm", BatchNorm{}, {a}));
      const ValueId c = off ? g.add("depth", StochasticDepth{1.0f}, {b}) : b;
      return g.add("add", Add{}, {c, a});
    };
  };
  const Graph graph = graph_of({"off", body(true)}, input, 16);
  const Graph twin = graph_of({"without", body(false)}, input, 16);
  const TestBatch batch = random_batch(input, 4, 7);
  Comparison comparison(graph, twin, batch);
  for (LayoutKind layout : layouts_of(graph)) comparison.run(layout, 2);
}

/// A step with a gate is one with a factor of 0 or 1 there, to the bit; an evaluation has the mean.
TEST(ConditionalSkip, IsAFactorOfTheStep) {
  constexpr float kKeep = 0.6f;
  constexpr std::uint64_t kSeed = 5;  // run_step's
  const Shape input{3, 6, 7};
  const Communicator group = Communicator::world();
  const TestBatch batch = random_batch(input, 5, 7);
  const auto graph_with = [&](const OpAttributes& op) {
    const auto body = [&](Graph& g, ValueId x) {
      const ValueId y = relu(g, "relu", g.add("norm", BatchNorm{}, {conv(g, "branch", x, 16)}));
      return g.add("add", Add{}, {g.add("op", op, {y}), x});
    };
    return graph_of({"gate", body}, input, 16);
  };
  const auto run = [&](const OpAttributes& op, std::int64_t step, bool training) {
    Graph graph = graph_with(op);
    Engine engine(plan_rank(graph, engine_options(group, batch.count(), 2, LayoutKind::kNhwc)),
                  group);
    engine.state().initialize(1);
    Executor& executor = training ? engine.trainer() : engine.evaluator();
    run_step(executor, LayoutKind::kNhwc, group, batch, {.step = step});
    const std::span<const float> found = training
                                             ? std::span<const float>(engine.state().gradients())
                                             : std::span<const float>(executor.logits(), 7 * 5);
    return std::vector<float>(found.begin(), found.end());
  };
  const Graph graph = graph_with(BranchGate{kKeep});
  std::uint32_t op = 0;
  while (graph.ops()[op].name != "op") ++op;
  std::set<float> gates;
  for (std::uint32_t step = 0; step < 6; ++step) {
    const auto bits = philox({0, 0, op, step}, random_key(kSeed, RandomUse::kBranchGate));
    const float gate = uniform_float(bits[0]) < kKeep ? 1.0f : 0.0f;
    gates.insert(gate);
    EXPECT_EQ(run(BranchGate{kKeep}, step, true), run(Scale{gate}, step, true)) << step;
  }
  EXPECT_EQ(gates.size(), 2u);
  EXPECT_EQ(run(BranchGate{kKeep}, 0, false), run(Scale{kKeep}, 0, false));
}

/// Ops that read the images themselves.
TEST(OpsOnImages, EqualTheirTwins) {
  const Shape input{4, 9, 6};
  Graph graph(input);
  const ValueId normal = graph.add("norm", BatchNorm{}, {graph.input()});
  const ValueId pooled = graph.add("pool", Pool{PoolKind::kAverage, 3, 1, 1}, {graph.input()});
  const ValueId both = graph.add("concat", Concat{}, {normal, pooled, graph.input()});
  const ValueId sum = graph.add("add", Add{}, {conv(graph, "conv1", both, 4), graph.input()});
  const ValueId last = graph.add("last", GlobalAveragePool{}, {relu(graph, "relu", sum)});
  graph.add("loss", SoftmaxCrossEntropy{}, {graph.add("classifier", Linear{7}, {last})});
  const TestBatch batch = random_batch(input, 6, 7);
  Comparison comparison(graph, batch);
  comparison.run(LayoutKind::kNhwc, 1);
  comparison.run(LayoutKind::kNhwc, 3);
}

/// Vectors all the way: a flattened image, linear layers and norms.
TEST(OpsOnImages, FlattenedEqualTheirTwins) {
  const Shape input{3, 5, 4};
  Graph graph(input);
  const ValueId x = graph.add("fc1", Linear{12}, {graph.add("flat", Flatten{}, {graph.input()})});
  const ValueId y = relu(graph, "relu", graph.add("norm", BatchNorm{}, {x}));
  const ValueId sum = graph.add("add", Add{}, {graph.add("fc2", Linear{12, false}, {y}), x});
  graph.add("loss", SoftmaxCrossEntropy{}, {graph.add("classifier", Linear{7}, {sum})});
  const TestBatch batch = random_batch(input, 6, 7);
  Comparison comparison(graph, batch);
  EXPECT_EQ(layouts_of(graph), std::vector{LayoutKind::kNhwc});
  for (int lanes : {1, 3}) comparison.run(LayoutKind::kNhwc, lanes);
}

/// A loss of pixels, some without a label, and its sums.
TEST(PixelLoss, EqualsItsTwin) {
  const Shape input{3, 6, 7};
  for (const float smoothing : {0.0f, 0.1f}) {
    Graph g(input);
    const ValueId x = relu(g, "relu", g.add("norm", BatchNorm{}, {conv(g, "first", 0, 16)}));
    const ValueId logits =
        g.add("fc", Conv2d{.out_channels = 5, .kernel = 1, .padding = 0, .bias = true}, {x});
    g.add("loss", PixelCrossEntropy{smoothing}, {logits});
    TestBatch batch = random_batch(input, 5, 5);
    batch.labels.clear();
    for (int i = 0; i < 5 * 42; ++i) batch.labels.push_back(i * 7 % 11 % 6 - 1);
    Comparison comparison(g, batch);
    EXPECT_EQ(layouts_of(g), std::vector{LayoutKind::kNhwc});
    for (int lanes : {1, 3}) comparison.run(LayoutKind::kNhwc, lanes);
  }
}

/// Classes of pixels told by hand: logits are the images themselves.
TEST(PixelLoss, CountsWhatIsRight) {
  Graph g({2, 1, 4});
  const ValueId logits =
      g.add("fc", Conv2d{.out_channels = 2, .kernel = 1, .padding = 0, .bias = true}, {0});
  g.add("loss", PixelCrossEntropy{}, {logits});
  const Communicator group = Communicator::world();
  Engine engine(plan_rank(g, engine_options(group, 2, 2, LayoutKind::kNhwc)), group);
  engine.state().initialize(0);
  const std::vector<float> identity{1, 0, 0, 1};
  std::ranges::copy(identity, engine.state().parameter(0, engine.state().parameters()).begin());
  std::ranges::fill(engine.state().parameter(1, engine.state().parameters()), 0.0f);
  // Predicted: 0 1 1 0, 1 1 0 0.
  const TestBatch batch{{{2, 2, 1, 4}, {2, 0, 0, 1, 0, 1, 3, 0, 0, 0, 5, 1, 1, 2, 0, 0}},
                        {0, 1, 0, -1, 1, 0, 0, -1}};
  run_step(engine.evaluator(), LayoutKind::kNhwc, group, batch);
  const auto sums = engine.evaluator().loss_sums();
  const std::vector<double> counts(sums.begin() + 1, sums.end());
  // Right, (best five), labelled; of class 0: right, labelled, predicted; of class 1.
  EXPECT_EQ(counts, (std::vector<double>{4, 0, 6, 2, 4, 2, 2, 2, 4}));
  EXPECT_DOUBLE_EQ(mean_iou(sums.subspan(kLossSums)), (2.0 / 4 + 2.0 / 4) / 2);
}

/// Images so large that lanes run several chunks of them, with ops that like chunks of other sizes.
TEST(OpsInPieces, EqualTheirTwins) {
  const Shape input{3, 40, 40};
  Graph g(input);
  const ValueId first = relu(g, "relu1", g.add("norm1", BatchNorm{}, {conv(g, "conv1", 0, 16)}));
  const ValueId wide =
      g.add("conv2", Conv2d{.out_channels = 32, .kernel = 1, .padding = 0, .bias = true}, {first});
  const ValueId small = g.add("pool", Pool{PoolKind::kMax, 3, 2, 1}, {wide});
  const ValueId normal =
      g.add("norm2", GroupNorm{.groups = 4}, {conv(g, "conv3", small, 16, 1, 2)});
  const ValueId body = g.add("add", Add{}, {normal, conv(g, "conv4", normal, 16)});
  const ValueId last = g.add("last", GlobalAveragePool{}, {body});
  g.add("loss", SoftmaxCrossEntropy{}, {g.add("classifier", Linear{7}, {last})});
  const TestBatch batch = random_batch(input, 19, 7);
  Comparison comparison(g, batch);
  for (LayoutKind layout : layouts_of(g)) {
    const Worst w = comparison.run(layout, layout == LayoutKind::kNhwc ? 1 : 2);
    std::printf("forward %.1e backward %.1e  %s\n", w.forward, w.backward, layout_name(layout));
  }
}

}  // namespace
}  // namespace lockstep
