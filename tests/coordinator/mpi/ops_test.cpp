// Every op, as the executor runs it in float32, against its naive twin in double precision: small
// graphs around one op, in nhwc with odd shapes and in the blocked layouts, forward and backward,
// training and evaluation, one lane and several.
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "layers/loss.h"
#include "tests/coordinator/engine_run.h"
#include "tests/golden/reference_graph.h"

namespace lockstep {
namespace {

using reference::Tensor;
using Body = std::function<ValueId(Graph&, ValueId)>;

// Most are within 1e-6. The worst are a mean close to zero and the shift of a norm before another
// norm, whose sums cancel: 4e-6 and 4e-5 with SSE2 kernels, 1e-6 and 5e-6 with AVX-512.
constexpr double kForward = 1e-5, kBackward = 1e-4;

// In bf16 a stored number is off by up to 2^-9 of itself, and there are up to ten in a row between
// the images and the loss (most: 5e-3), twice as many to a gradient (most: 6e-3). The largest
// differences, 1e-2 and 9e-2, are those of statistics near zero, and of ReLUs and maxima whose
// inputs are so near to each other that another pixel's gradient is taken.
constexpr double kForwardBf16 = 0x1p-6, kBackwardBf16 = 0x1p-3;

/// The op under test, after a convolution and before a classifier.
struct OpCase {
  const char* name;
  Body body;
};

ValueId conv(Graph& g, const char* name, ValueId x, int channels, int kernel = 3, int stride = 1) {
  return g.add(
      name,
      Conv2d{.out_channels = channels, .kernel = kernel, .stride = stride, .padding = kernel / 2},
      {x});
}

int channels_of(const Graph& g, ValueId x) { return g.value(x).shape.channels; }

/// x -> one op.
OpCase one(const char* name, OpAttributes op) {
  return {name, [op](Graph& g, ValueId x) { return g.add("op", op, {x}); }};
}

/// x -> a convolution that keeps the channels.
OpCase convolution(const char* name, Conv2d c) {
  return {name, [c](Graph& g, ValueId x) {
            Conv2d same = c;
            same.out_channels = channels_of(g, x);
            return g.add("op", same, {x});
          }};
}

ValueId relu(Graph& g, const char* name, ValueId x) { return g.add(name, Activation{}, {x}); }

ValueId squeeze_excitation(Graph& g, ValueId x) {
  const ValueId pooled = g.add("squeeze", GlobalAveragePool{}, {x});
  const ValueId few = relu(g, "squeeze.relu", g.add("reduce", Linear{3}, {pooled}));
  const ValueId gate = g.add("expand", Linear{channels_of(g, x)}, {few});
  const ValueId open = g.add("gate", Activation{.kind = ActivationKind::kSigmoid}, {gate});
  return g.add("op", ChannelScale{}, {x, open});
}

std::vector<OpCase> convolutions() {
  return {
      convolution("conv_bias", {.bias = true}),
      convolution("conv_stride", {.stride = 2}),
      convolution("conv_1x1", {.kernel = 1, .padding = 0}),
      convolution("conv_1x1_stride", {.kernel = 1, .stride = 2, .padding = 0, .bias = true}),
      convolution("conv_5x5", {.kernel = 5, .padding = 2}),
      convolution("conv_7x7_stride", {.kernel = 7, .stride = 2, .padding = 3}),
      one("conv_transpose", ConvTranspose2d{.out_channels = 16}),
      one("conv_transpose_4x4", ConvTranspose2d{.out_channels = 8, .kernel = 4, .padding = 1}),
      convolution("conv_no_padding", {.kernel = 3, .padding = 0}),
      {"conv_groups",
       [](Graph& g, ValueId x) {
         const int wide = 2 * channels_of(g, x);
         return g.add("op", Conv2d{.out_channels = wide, .groups = 2, .bias = true},
                      {conv(g, "wide", x, wide, 1)});
       }},
      {"conv_depthwise",
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         return g.add("op", Conv2d{.out_channels = c, .groups = c}, {x});
       }},
      {"conv_depthwise_7x7",
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         return g.add("op", Conv2d{.out_channels = c, .kernel = 7, .padding = 3, .groups = c, .bias = true}, {x});
       }},
      {"conv_on_one_pixel",
       [](Graph& g, ValueId x) {
         const Shape s = g.value(x).shape;
         const ValueId pixel =
             g.add("shrink",
                   Conv2d{.out_channels = s.channels, .kernel = 3, .stride = 6, .padding = 1}, {x});
         return relu(g, "relu",
                     g.add("norm", GroupNorm{.groups = 1}, {conv(g, "op", pixel, s.channels, 3)}));
       }},
      {"conv_to_one_pixel",  // and a pool of it
       [](Graph& g, ValueId x) {
         const ValueId pixel =
             g.add("op", Conv2d{.out_channels = channels_of(g, x), .stride = 6}, {x});
         return g.add("pool", GlobalAveragePool{}, {relu(g, "relu", pixel)});
       }},
  };
}

std::vector<OpCase> norms() {
  return {
      one("batch_norm", BatchNorm{}),
      {"batch_norm_relu",
       [](Graph& g, ValueId x) { return relu(g, "relu", g.add("op", BatchNorm{}, {x})); }},
      {"batch_norm_add",
       [](Graph& g, ValueId x) {
         return g.add("add", Add{}, {g.add("op", BatchNorm{}, {x}), x});
       }},
      {"batch_norm_add_relu",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", BatchNorm{}, {conv(g, "main", x, channels_of(g, x))});
         return relu(g, "relu", g.add("add", Add{}, {x, y}));
       }},
      {"batch_norms_on_both_paths",
       [](Graph& g, ValueId x) {
         const ValueId a = g.add("norm1", BatchNorm{}, {conv(g, "main", x, channels_of(g, x))});
         const ValueId b = g.add("norm2", BatchNorm{}, {conv(g, "short", x, channels_of(g, x), 1)});
         return relu(g, "relu", g.add("add", Add{}, {a, b}));
       }},
      {"batch_norm_read_three_times",
       [](Graph& g, ValueId x) {
         const ValueId y = relu(g, "relu", g.add("op", BatchNorm{}, {x}));
         const ValueId z = g.add("add1", Add{}, {conv(g, "conv1", y, channels_of(g, x)), y});
         return g.add("add2", Add{}, {z, conv(g, "conv2", y, channels_of(g, x), 1)});
       }},
      {"batch_norm_added_to_itself",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", BatchNorm{}, {x});
         return relu(g, "relu", g.add("add", Add{}, {y, y}));
       }},
      {"batch_norm_twice",
       [](Graph& g, ValueId x) {
         return g.add("norm2", BatchNorm{}, {relu(g, "relu", g.add("norm1", BatchNorm{}, {x}))});
       }},
      one("group_norm", GroupNorm{.groups = 2}),
      one("layer_norm", GroupNorm{.groups = 1}),
      {"layer_norm_of_pixels",
       [](Graph& g, ValueId x) {
         return relu(g, "relu", g.add("op", LayerNorm{.eps = 1e-3f}, {x}));
       }},
      {"layer_norm_of_vectors",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", LayerNorm{}, {g.add("pool", GlobalAveragePool{}, {x})});
         return relu(g, "relu", y);
       }},
      {"instance_norm",  // its mean is constant: something must follow for a gradient to be left
       [](Graph& g, ValueId x) {
         return relu(g, "relu", g.add("op", GroupNorm{.groups = channels_of(g, x)}, {x}));
       }},
  };
}

/// After a convolution that makes queries, keys and values.
OpCase attention(const char* name, int heads) {
  return {name, [heads](Graph& g, ValueId x) {
            const ValueId qkv = conv(g, "qkv", x, 3 * channels_of(g, x), 1);
            const ValueId y = g.add("op", Attention{heads}, {qkv});
            return g.add("gelu", Activation{.kind = ActivationKind::kGelu}, {y});
          }};
}

std::vector<OpCase> elementwise() {
  return {
      one("relu", Activation{}),
      one("leaky_relu", Activation{ActivationKind::kLeakyRelu, 0.1f}),
      one("leaky_relu_negative", Activation{ActivationKind::kLeakyRelu, -0.2f}),
      one("elu", Activation{ActivationKind::kElu, 0.7f}),
      one("gelu", Activation{ActivationKind::kGelu}),
      one("sigmoid", Activation{ActivationKind::kSigmoid}),
      one("scale", Scale{0.3f}),
      {"lerp",  // read by a convolution besides, and its start twice
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         const ValueId end = conv(g, "end", x, c), weight = conv(g, "weight", x, c, 1);
         const ValueId gate = g.add("gate", Activation{.kind = ActivationKind::kSigmoid}, {weight});
         return conv(g, "last", g.add("op", Lerp{}, {x, end, gate}), c, 1);
       }},
      one("layer_scale", LayerScale{0.5f}),
      {"position_embedding",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", PositionEmbedding{}, {x});
         return g.add("add", Add{}, {relu(g, "relu", y), y});
       }},
      attention("attention", 1),
      attention("attention_of_two_heads", 2),
      {"flatten",
       [](Graph& g, ValueId x) {
         return relu(g, "relu", g.add("fc", Linear{9}, {g.add("op", Flatten{}, {x})}));
       }},
      {"upsample",  // its mean alone would be the input's
       [](Graph& g, ValueId x) {
         return relu(g, "relu", conv(g, "conv", g.add("op", Upsample{}, {x}), channels_of(g, x)));
       }},
      {"upsample_by_3",
       [](Graph& g, ValueId x) {
         return relu(g, "relu", conv(g, "conv", g.add("op", Upsample{3}, {x}), channels_of(g, x)));
       }},
      {"add_to_itself",
       [](Graph& g, ValueId x) {
         return g.add("op", Add{}, {x, x});
       }},
      {"add_three",
       [](Graph& g, ValueId x) {
         const ValueId a = g.add("op1", Add{}, {x, conv(g, "conv1", x, channels_of(g, x))});
         return g.add("op2", Add{}, {a, relu(g, "relu", x)});
       }},
  };
}

std::vector<OpCase> channels_and_pools() {
  return {
      {"concat",
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         return g.add("op", Concat{},
                      {conv(g, "a", x, c), x, conv(g, "b", x, 2 * c, 1), relu(g, "r", x)});
       }},
      {"concat_with_itself",
       [](Graph& g, ValueId x) {
         return g.add("op", Concat{}, {x, x});
       }},
      {"channel_pad",
       [](Graph& g, ValueId x) {
         return g.add("op", ChannelPad{2 * channels_of(g, x), 2}, {x});
       }},
      {"channel_pad_stride_1",
       [](Graph& g, ValueId x) {
         return g.add("op", ChannelPad{3 * channels_of(g, x), 1}, {x});
       }},
      one("max_pool", Pool{PoolKind::kMax, 3, 2, 1}),
      one("max_pool_overlapping", Pool{PoolKind::kMax, 3, 1, 1}),
      one("max_pool_remainder", Pool{PoolKind::kMax, 2, 2, 0}),
      one("max_pool_ceil", Pool{PoolKind::kMax, 2, 2, 0, true}),
      one("max_pool_ceil_padded", Pool{PoolKind::kMax, 3, 2, 1, true}),
      one("average_pool", Pool{PoolKind::kAverage, 3, 2, 1}),
      one("average_pool_overlapping", Pool{PoolKind::kAverage, 3, 1, 1}),
      one("average_pool_ceil", Pool{PoolKind::kAverage, 2, 2, 0, true}),
      one("average_pool_ceil_padded", Pool{PoolKind::kAverage, 3, 2, 1, true}),
      {"squeeze_excitation", squeeze_excitation},
      {"linear_without_bias",
       [](Graph& g, ValueId x) {
         const ValueId pooled = g.add("pool", GlobalAveragePool{}, {x});
         return relu(g, "relu", g.add("op", Linear{13, false}, {pooled}));
       }},
  };
}

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
    EngineOptions options = engine_options(group_, batch_.count(), lanes, layout);
    options.activations = activations;
    Engine engine(graph_, options, group_);
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
                    logits), forward,
         "logits of the evaluation", worst.forward);
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

std::vector<OpCase> all_cases() {
  std::vector<OpCase> all = convolutions();
  for (const auto& part : {norms(), elementwise(), channels_and_pools()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Ops, testing::ValuesIn(all_cases()),
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
  Engine engine(g, engine_options(group, 2, 2, LayoutKind::kNhwc), group);
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
