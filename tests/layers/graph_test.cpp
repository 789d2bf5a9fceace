#include "layers/graph.h"

#include <gtest/gtest.h>

#include <string>

#include "data/error.h"

namespace lockstep {
namespace {

constexpr Shape kImage{3, 32, 32};

/// The message of the ShapeError that adding the op throws.
std::string shape_error(const OpAttributes& attributes, const std::vector<Shape>& inputs,
                        const std::string& hint = "") {
  try {
    infer_shape("op", attributes, inputs, hint);
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "no ShapeError";
}

Shape inferred(const OpAttributes& attributes, const std::vector<Shape>& inputs) {
  return infer_shape("op", attributes, inputs, "");
}

TEST(Graph, KeepsProducersConsumersAndOrder) {
  Graph graph(kImage);
  const ValueId a = graph.add("a", Conv2d{.out_channels = 8}, {graph.input()});
  const ValueId b = graph.add("b", BatchNorm{}, {a});
  const ValueId c = graph.add("c", Add{}, {a, b});
  EXPECT_EQ(graph.value(graph.input()).producer, kNone);
  EXPECT_EQ(graph.value(a).producer, 0);
  EXPECT_EQ(graph.value(a).consumers, (std::vector<OpId>{1, 2}));
  EXPECT_EQ(graph.op(2).inputs, (std::vector<ValueId>{a, b}));
  EXPECT_EQ(graph.op(2).output, c);
  EXPECT_EQ(graph.value(c).name, "c");
}

TEST(Graph, OwnsParametersAndStatisticsInTheOrderOfOps) {
  Graph graph(kImage);
  ValueId x = graph.add("conv", Conv2d{.out_channels = 8, .bias = true}, {graph.input()});
  x = graph.add("norm", BatchNorm{.gamma_init = 0.1f}, {x});
  x = graph.add("group", GroupNorm{.groups = 4}, {x});
  x = graph.add("pool", GlobalAveragePool{}, {x});
  x = graph.add("fc", Linear{5}, {x});
  EXPECT_EQ(graph.add("loss", SoftmaxCrossEntropy{}, {x}), kNone);

  std::vector<std::string> names;
  for (const Parameter& p : graph.parameters()) names.push_back(p.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"conv.weight", "conv.bias", "norm.weight", "norm.bias",
                                      "group.weight", "group.bias", "fc.weight", "fc.bias"}));
  EXPECT_EQ(graph.parameter(0).dims, (std::vector<std::int64_t>{8, 3, 3, 3}));
  EXPECT_EQ(graph.parameter(6).dims, (std::vector<std::int64_t>{5, 8}));
  EXPECT_EQ(graph.parameter(2).constant, 0.1f);
  EXPECT_EQ(graph.parameter_count(), 216 + 8 + 4 * 8 + 40 + 5);
  // Weight decay is for the weights of convolutions and linear layers alone.
  for (const Parameter& p : graph.parameters())
    EXPECT_EQ(p.decay, p.name == "conv.weight" || p.name == "fc.weight") << p.name;

  ASSERT_EQ(graph.statistics().size(), 2u);
  EXPECT_EQ(graph.statistics()[0].name, "norm.mean");
  EXPECT_EQ(graph.statistics()[0].initial, 0.0f);
  EXPECT_EQ(graph.statistics()[1].name, "norm.var");
  EXPECT_EQ(graph.statistics()[1].initial, 1.0f);
  EXPECT_EQ(graph.op(1).first_statistic, 0);
  EXPECT_EQ(graph.op(2).first_statistic, kNone);
}

TEST(Graph, AMismatchAtAnAddNamesBothShapesAndTheWayOut) {
  Graph graph({64, 32, 32});
  const ValueId main =
      graph.add("group2.block0.conv2", Conv2d{.out_channels = 128, .stride = 2}, {graph.input()});
  try {
    graph.add("group2.block0.add", Add{}, {main, graph.input()},
              "use shortcut = B (projection) or C");
    FAIL() << "no ShapeError";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(),
                 "group2.block0.add (add): main path [N,128,16,16], shortcut [N,64,32,32]; use "
                 "shortcut = B (projection) or C");
  }
  EXPECT_EQ(graph.ops().size(), 1u);  // a refused op leaves no trace
  EXPECT_TRUE(graph.value(main).consumers.empty());
}

TEST(Graph, AnEmptyInputIsRefused) {
  EXPECT_THROW(Graph({0, 32, 32}), ShapeError);
  EXPECT_THROW(Graph({3, 0, 32}), ShapeError);
}

TEST(Graph, GrowsInLinearTime) {
  Graph graph(kImage);
  ValueId x = graph.input();
  for (int i = 0; i < 100000; ++i) x = graph.add("op" + std::to_string(i), Activation{}, {x});
  EXPECT_EQ(graph.ops().size(), 100000u);
  EXPECT_EQ(graph.value(x).shape, kImage);
}

TEST(ShapeInference, Windows) {
  EXPECT_EQ(
      inferred(Conv2d{.out_channels = 64, .kernel = 7, .stride = 2, .padding = 3}, {{3, 224, 224}}),
      (Shape{64, 112, 112}));
  EXPECT_EQ(
      inferred(Conv2d{.out_channels = 8, .kernel = 1, .stride = 2, .padding = 0}, {{4, 7, 6}}),
      (Shape{8, 4, 3}));
  EXPECT_EQ(inferred(Pool{}, {{64, 112, 112}}), (Shape{64, 56, 56}));
  const Pool halve{.kind = PoolKind::kAverage, .kernel = 2, .stride = 2, .padding = 0};
  EXPECT_EQ(inferred(halve, {{4, 7, 6}}), (Shape{4, 3, 3}));
  Pool ceiling = halve;
  ceiling.ceil_mode = true;
  EXPECT_EQ(inferred(ceiling, {{4, 7, 6}}), (Shape{4, 4, 3}));
  // A last window that would start beyond image and left padding is left out, as in PyTorch.
  EXPECT_EQ(inferred(Pool{.kernel = 2, .stride = 2, .padding = 1, .ceil_mode = true}, {{1, 3, 4}}),
            (Shape{1, 2, 3}));
}

TEST(ShapeInference, OtherOps) {
  EXPECT_EQ(inferred(Concat{}, {{3, 4, 5}, {2, 4, 5}, {1, 4, 5}}), (Shape{6, 4, 5}));
  EXPECT_EQ(inferred(ChannelPad{.out_channels = 32, .stride = 2}, {{16, 7, 8}}), (Shape{32, 4, 4}));
  EXPECT_EQ(inferred(GlobalAveragePool{}, {{16, 7, 8}}), (Shape{16, 1, 1}));
  EXPECT_EQ(inferred(Linear{10}, {{16, 1, 1}}), (Shape{10, 1, 1}));
  EXPECT_EQ(inferred(ChannelScale{}, {{16, 7, 8}, {16, 1, 1}}), (Shape{16, 7, 8}));
  EXPECT_EQ(inferred(ChannelScale{}, {{16, 7, 8}, {1, 1, 1}}), (Shape{16, 7, 8}));
  EXPECT_EQ(inferred(ImageGate{}, {{1, 1, 1}}), (Shape{1, 1, 1}));
}

TEST(ShapeInference, Upsampling) {
  EXPECT_EQ(inferred(ConvTranspose2d{.out_channels = 8}, {{16, 5, 4}}), (Shape{8, 10, 8}));
  EXPECT_EQ(inferred(ConvTranspose2d{.out_channels = 8, .kernel = 4, .stride = 2, .padding = 1},
                     {{16, 5, 4}}),
            (Shape{8, 10, 8}));
  EXPECT_EQ(inferred(Upsample{3}, {{16, 5, 4}}), (Shape{16, 15, 12}));
  EXPECT_EQ(inferred(PixelCrossEntropy{}, {{16, 5, 4}}), (Shape{1, 1, 1}));
  EXPECT_EQ(shape_error(Upsample{0}, {kImage}), "op (upsample): factor must be 1 to 64");
  EXPECT_EQ(shape_error(ConvTranspose2d{.out_channels = 2, .kernel = 2, .padding = 2}, {{3, 1, 1}}),
            "op (conv_transpose2d): nothing is left of input [N,3,1,1] after padding 2; use a "
            "smaller padding");
}

TEST(ShapeInference, ErrorsNameTheOpTheShapesAndTheWayOut) {
  EXPECT_EQ(
      shape_error(Conv2d{.out_channels = 8, .kernel = 7, .padding = 0}, {{3, 5, 9}}, "hint"),
      "op (conv2d): input [N,3,5,9] is smaller than the kernel 7; use a larger image or fewer "
      "strides; hint");
  EXPECT_EQ(shape_error(Conv2d{.out_channels = 0}, {kImage}),
            "op (conv2d): out_channels must be at least 1");
  EXPECT_EQ(shape_error(Conv2d{.out_channels = 8, .stride = 0}, {kImage}),
            "op (conv2d): kernel and stride must be at least 1 and padding at least 0");
  EXPECT_EQ(shape_error(Conv2d{.out_channels = 8, .groups = 2}, {kImage}),
            "op (conv2d): groups = 2 does not divide the channels 3 -> 8");
  EXPECT_EQ(shape_error(GroupNorm{.groups = 2}, {kImage}),
            "op (group_norm): groups = 2 does not divide 3 channels");
  EXPECT_EQ(shape_error(Concat{}, {{3, 4, 5}, {3, 5, 4}}),
            "op (concat): cannot join [N,3,4,5] and [N,3,5,4]");
  EXPECT_EQ(shape_error(ChannelPad{.out_channels = 2}, {kImage}),
            "op (channel_pad): cannot pad 3 channels to 2");
  EXPECT_EQ(shape_error(Pool{.kernel = 3, .padding = 2}, {kImage}),
            "op (max_pool): padding must be at most half of the kernel");
  EXPECT_EQ(shape_error(Linear{10}, {{3, 2, 2}}),
            "op (linear): needs a vector, got [N,3,2,2]; pool it first");
  EXPECT_EQ(shape_error(Linear{0}, {{3, 1, 1}}), "op (linear): out_features must be at least 1");
  EXPECT_EQ(shape_error(ChannelScale{}, {kImage, {4, 1, 1}}),
            "op (channel_scale): gate [N,4,1,1] does not fit [N,3,32,32]");
  EXPECT_EQ(shape_error(ImageGate{}, {{2, 1, 1}}),
            "op (image_gate): needs one number an image, got [N,2,1,1]");
  EXPECT_EQ(shape_error(ImageGate{.rate = 0}, {{1, 1, 1}}),
            "op (image_gate): rate must be in (0,1]");
  EXPECT_EQ(shape_error(Dropout{1.0f}, {kImage}), "op (dropout): probability must be in [0,1)");
  EXPECT_EQ(shape_error(StochasticDepth{0.0f}, {kImage}),
            "op (stochastic_depth): keep must be in (0,1]");
  EXPECT_EQ(shape_error(SoftmaxCrossEntropy{}, {kImage}),
            "op (softmax_cross_entropy): needs logits [N,classes,1,1], got [N,3,32,32]");
  EXPECT_EQ(shape_error(SoftmaxCrossEntropy{1.0f}, {{3, 1, 1}}),
            "op (softmax_cross_entropy): label_smoothing must be in [0,1)");
  EXPECT_EQ(shape_error(Add{}, {kImage}), "op (add): takes 2 inputs, got 1");
  EXPECT_EQ(shape_error(Concat{}, {kImage}), "op (concat): takes 2 inputs, got 1");
  EXPECT_EQ(shape_error(Activation{}, {kImage, kImage}), "op (relu): takes 1 inputs, got 2");
}

}  // namespace
}  // namespace lockstep
