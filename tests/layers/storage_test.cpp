// Which values are stored as bfloat16, and which graphs allow it.
#include <gtest/gtest.h>

#include <algorithm>

#include "layers/layout.h"
#include "layers/model.h"

namespace lockstep {
namespace {

Storage bf16_of(const Graph& graph, ValueId value) {
  return value_storage(graph, value, Storage::kBf16);
}

TEST(ValueStorage, IsF32BeforeTheFirstConvolutionAndFromTheGlobalAverageOn) {
  const Graph graph = build_model({.family = "custom",
                                   .stem = "imagenet",
                                   .block = "bottleneck",
                                   .se_reduction = 4,
                                   .learned_skip = 0.3f,
                                   .counts = {1, 2},
                                   .widths = {16, 32}},
                                  {3, 64, 64}, 10);
  EXPECT_EQ(bf16_of(graph, graph.input()), Storage::kF32);
  int small = 0;
  for (const Op& op : graph.ops()) {
    if (op.output == kNone) continue;
    const bool vector = graph.value(op.output).shape.pixels() == 1;
    EXPECT_EQ(bf16_of(graph, op.output), vector ? Storage::kF32 : Storage::kBf16) << op.name;
    EXPECT_EQ(value_storage(graph, op.output, Storage::kF32), Storage::kF32) << op.name;
    small += vector;
  }
  EXPECT_GT(small, 10);  // the gates' layers and the classifier
  EXPECT_EQ(bf16_obstacle(graph), "");
}

TEST(ValueStorage, OnePixelOfAConvolutionIsBf16) {
  Graph graph({3, 2, 2});
  const ValueId one = graph.add("conv", Conv2d{.out_channels = 16, .stride = 2}, {graph.input()});
  const ValueId pooled = graph.add("pool", GlobalAveragePool{}, {one});
  EXPECT_EQ(bf16_of(graph, one), Storage::kBf16);
  EXPECT_EQ(bf16_of(graph, pooled), Storage::kF32);
}

TEST(ValueStorage, ChunksOfHalfTheBytesHaveTwiceTheImages) {
  const Graph graph =
      build_model({.family = "custom", .counts = {1}, .widths = {16}}, {3, 32, 32}, 10);
  const auto norm = std::ranges::find_if(
      graph.ops(), [](const Op& op) { return std::holds_alternative<BatchNorm>(op.attributes); });
  const int images = chunk_images(graph, *norm, false);
  EXPECT_EQ(chunk_images(graph, *norm, false, Storage::kBf16), 2 * images);
  EXPECT_EQ(images, 8);  // 1 MiB of 2 x 64 KiB
}

TEST(Bf16Obstacle, NamesTheOpAndWhatItReads) {
  const Shape input{16, 8, 8};
  const auto conv = [](Graph& g) { return g.add("conv", Conv2d{.out_channels = 16}, {g.input()}); };
  Graph norm(input);
  norm.add("norm", BatchNorm{}, {norm.input()});
  EXPECT_EQ(bf16_obstacle(norm), "norm: only convolutions may read the input images");
  Graph add(input);
  add.add("add", Add{}, {conv(add), add.input()});
  EXPECT_EQ(bf16_obstacle(add), "add: only convolutions may read the input images");
  Graph linear({16, 1, 1});
  linear.add("linear", Linear{.out_features = 4}, {conv(linear)});
  EXPECT_EQ(bf16_obstacle(linear), "linear: a linear layer must follow a global average");
  Graph gate({16, 1, 1});
  const ValueId x = conv(gate);
  gate.add("gate", ChannelScale{}, {x, x});
  EXPECT_EQ(bf16_obstacle(gate),
            "gate: its gate must follow a global average, and its input must "
            "not");
  Graph open({1, 1, 1});
  open.add("open", ImageGate{}, {open.add("conv", Conv2d{.out_channels = 1}, {open.input()})});
  EXPECT_EQ(bf16_obstacle(open), "open: an image's gate must follow a linear layer");
  Graph both({16, 1, 1});
  const ValueId y = conv(both);
  both.add("sum", Add{}, {y, both.add("pool", GlobalAveragePool{}, {y})});
  EXPECT_EQ(bf16_obstacle(both), "sum: its inputs lie on both sides of a global average");
  Graph late({16, 1, 1});
  const ValueId pooled = late.add("pool", GlobalAveragePool{}, {conv(late)});
  late.add("late", Conv2d{.out_channels = 16, .kernel = 1, .padding = 0}, {pooled});
  EXPECT_EQ(bf16_obstacle(late),
            "late: a convolution reads what a global average or a linear layer made");
}

}  // namespace
}  // namespace lockstep
