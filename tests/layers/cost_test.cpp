#include <gtest/gtest.h>

#include <variant>

#include "layers/graph.h"
#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

constexpr Shape kSrc{4, 6, 8};  // 192 elements
constexpr double kElements = 192, kFloat = 4;

/// The cost of one op behind a first one, so that it does not read the images.
OpCost cost_of(const OpAttributes& attributes, Shape src = kSrc) {
  Graph graph(src);
  const ValueId x = graph.add("first", Activation{}, {graph.input()});
  std::vector<ValueId> inputs{x};
  if (std::holds_alternative<ChannelScale>(attributes))
    inputs.push_back(graph.add("gate", GlobalAveragePool{}, {x}));
  if (std::holds_alternative<Add>(attributes) || std::holds_alternative<Concat>(attributes))
    inputs.push_back(x);
  if (std::holds_alternative<Lerp>(attributes)) inputs = {x, x, x};
  graph.add("op", attributes, inputs);
  return op_cost(graph, graph.ops().back());
}

void expect_cost(const OpAttributes& attributes, const OpCost& wanted, Shape src = kSrc) {
  const OpCost cost = cost_of(attributes, src);
  EXPECT_EQ(cost.forward_flops, wanted.forward_flops) << kind_name(attributes);
  EXPECT_EQ(cost.backward_flops, wanted.backward_flops) << kind_name(attributes);
  EXPECT_EQ(cost.forward_bytes, wanted.forward_bytes) << kind_name(attributes);
  EXPECT_EQ(cost.backward_bytes, wanted.backward_bytes) << kind_name(attributes);
}

TEST(OpCost, ConvolutionIsExact) {
  // dst [6,3,4]: 72 outputs, each of 2 channels x 9 taps.
  const Conv2d conv{.out_channels = 6, .kernel = 3, .stride = 2, .padding = 1, .groups = 2};
  const double multiply_adds = 72 * 2 * 9, moved = kElements + 72;
  expect_cost(conv, {2 * multiply_adds, 4 * multiply_adds, kFloat * moved, kFloat * 2 * moved});
  Conv2d biased = conv;
  biased.bias = true;
  expect_cost(biased,
              {2 * multiply_adds + 72, 4 * multiply_adds + 72, kFloat * moved, kFloat * 2 * moved});
}

TEST(OpCost, TheFirstConvolutionHasNoDataGradient) {
  Graph graph(kSrc);
  graph.add("stem.conv", Conv2d{.out_channels = 2}, {graph.input()});
  const OpCost cost = op_cost(graph, graph.op(0));
  EXPECT_EQ(cost.backward_flops, cost.forward_flops);
  EXPECT_EQ(cost.backward_bytes, cost.forward_bytes);
}

TEST(OpCost, LinearIsExact) {
  expect_cost(Linear{10}, {2 * 70 + 10, 4 * 70 + 10, kFloat * 17, kFloat * 34}, {7, 1, 1});
}

TEST(OpCost, PassesOverMemory) {
  const double e = kElements, b = kElements * kFloat;
  expect_cost(BatchNorm{}, {5 * e, 8 * e, 3 * b, 5 * b});
  expect_cost(GroupNorm{2}, {5 * e, 8 * e, 3 * b, 5 * b});
  expect_cost(Activation{}, {e, e, 2 * b, 3 * b});
  expect_cost(Activation{ActivationKind::kGelu}, {5 * e, 10 * e, 2 * b, 3 * b});
  expect_cost(Add{}, {e, 0, 3 * b, 0});
  expect_cost(LayerNorm{}, {5 * e, 8 * e, 3 * b, 5 * b});
  expect_cost(LayerScale{}, {e, 3 * e, 2 * b, 4 * b});
  expect_cost(PositionEmbedding{}, {e, e, 2 * b, b});
  // Of 48 pixels with 2 features: 2 heads' scores are 2 * 48 * 48, dst has 96 elements.
  expect_cost(Attention{2},
              {4 * 48 * 96 + 6 * 4608, 8 * 48 * 96 + 4 * 4608, kFloat * (288 + 96 + 2 * 4608),
               kFloat * (2 * 288 + 96 + 3 * 4608)},
              {6, 6, 8});
  expect_cost(Lerp{}, {3 * e, 4 * e, 4 * b, 7 * b});
  expect_cost(Flatten{}, {0, 0, 2 * b, 2 * b});
  expect_cost(BranchGate{0.5f}, {e, e, 2 * b, 2 * b});
  expect_cost(Concat{}, {0, 0, 4 * b, 4 * b});
  expect_cost(ChannelPad{.out_channels = 8}, {0, 0, 3 * b, 3 * b});
  expect_cost(Dropout{}, {2 * e, 2 * e, 2 * b, 2 * b});
  expect_cost(StochasticDepth{0.5f}, {e, e, 2 * b, 2 * b});
  expect_cost(Scale{0.5f}, {e, e, 2 * b, 2 * b});
  expect_cost(ChannelScale{}, {e, 3 * e, 2 * b + 16, 4 * b + 32});
  expect_cost(ImageGate{}, {4, 16, 8, 12}, {1, 1, 1});
  expect_cost(GlobalAveragePool{}, {e + 4, 4, b + 16, b + 16});
  // dst [4,3,4]: 48
  expect_cost(Pool{}, {9 * 48, 48, b + 192, b + 192});
  expect_cost(Pool{.kind = PoolKind::kAverage, .kernel = 2, .stride = 2, .padding = 0},
              {4 * 48, 4 * 48, b + 192, b + 192});
  expect_cost(PixelCrossEntropy{}, {60, 20, 40, 80}, {10, 1, 1});
  // dst [4,12,16] of [4,6,8]; and [5,12,16]
  expect_cost(Upsample{}, {7 * 4 * e, 8 * 4 * e, 5 * b, 5 * b});
  expect_cost(ConvTranspose2d{.out_channels = 5},
              {2 * e * 5 * 4, 4 * e * 5 * 4, b + 5 * b, 2 * (b + 5 * b)});
  expect_cost(SoftmaxCrossEntropy{}, {60, 20, 40, 80}, {10, 1, 1});
}

/// Multiply-adds of the convolutions and linear layers of one image: what papers print as FLOPs.
double multiply_adds(const Graph& graph) {
  double flops = 0;
  for (const Op& op : graph.ops()) {
    if (std::holds_alternative<Conv2d>(op.attributes)) flops += op_cost(graph, op).forward_flops;
    if (const auto* linear = std::get_if<Linear>(&op.attributes))
      flops += op_cost(graph, op).forward_flops - linear->out_features;
  }
  return flops / 2;
}

double cifar(const ModelOptions& options) {
  return multiply_adds(build_model(options, kCifar, 10));
}
double imagenet(const ModelOptions& options) {
  return multiply_adds(build_model(options, kImagenet, 1000));
}

// He et al. 2015, table 1: 1.8, 3.6, 3.8, 7.6, 11.3 x 10^9 with the stride in the first 1x1 of a
// bottleneck; with it in the 3x3 (torchvision's zoo) 4.09, 7.80 and 11.51.
TEST(ModelCost, ImagenetNetworks) {
  EXPECT_EQ(imagenet(model("resnet", 18)), 1814073344);
  EXPECT_NEAR(imagenet(model("resnet", 34)), 3.664e9, 1e6);
  EXPECT_EQ(imagenet(model("resnet", 50)), 4089184256);
  EXPECT_NEAR(imagenet(model("resnet", 101)), 7.801e9, 1e6);
  EXPECT_NEAR(imagenet(model("resnet", 152)), 11.514e9, 1e6);
  EXPECT_NEAR(imagenet(model("resnext", 50)), 4.230e9, 1e6);
  ModelOptions wide = model("resnet", 50);
  wide.base_width = 128;
  EXPECT_NEAR(imagenet(wide), 11.398e9, 1e6);
  ModelOptions resnet_d = model("resnet", 50);
  resnet_d.stem = "resnet_d";  // He et al. 2019, table 5: 4.3 x 10^9
  EXPECT_NEAR(imagenet(resnet_d), 4.3e9, 0.06e9);
}

TEST(ModelCost, CifarNetworks) {
  ModelOptions options = model("resnet", 20);
  options.shortcut = std::string("A");
  EXPECT_NEAR(cifar(options), 41e6, 1e6);
  options.depth = 56;
  EXPECT_NEAR(cifar(options), 126e6, 1e6);
  options.depth = 110;
  EXPECT_NEAR(cifar(options), 253e6, 1e6);
  ModelOptions wide = model("wide", 28);
  wide.widen = 10;  // 5.2 x 10^9
  EXPECT_NEAR(cifar(wide), 5.2e9, 0.06e9);
}

// Only the first convolution computes one gradient instead of two.
TEST(ModelCost, BackwardOfTheProductsIsTwiceForwardButForTheStem) {
  const Graph graph = build_model(model("resnet", 20), kCifar, 10);
  for (const Op& op : graph.ops())
    if (std::holds_alternative<Conv2d>(op.attributes)) {
      const OpCost cost = op_cost(graph, op);
      const double ratio = op.name == "stem.conv" ? 1 : 2;
      EXPECT_EQ(cost.backward_flops, ratio * cost.forward_flops) << op.name;
    }
}

}  // namespace
}  // namespace lockstep
