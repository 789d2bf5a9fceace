// What lies beside the branches of residual networks: identities, pads, projections, nothing.
#include <gtest/gtest.h>

#include <string>

#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

using Names = std::vector<std::string>;

TEST(ModelStructure, ShortcutAPadsAndCProjectsEverywhere) {
  ModelOptions options;
  options.shortcut = std::string("A");
  const Graph padded = build_model(options, kCifar, 10);
  EXPECT_EQ(names(padded, "group2.block0.shortcut"), (Names{".pad"}));
  EXPECT_EQ(attributes<ChannelPad>(padded, "group2.block0.shortcut.pad").out_channels, 32);
  EXPECT_EQ(names(padded, "group2.block1.shortcut"), Names{});
  options.shortcut = std::string("C");
  const Graph projected = build_model(options, kCifar, 10);
  EXPECT_EQ(names(projected, "group1.block0.shortcut"), (Names{".conv", ".norm"}));
  EXPECT_EQ(names(projected, "group2.block1.shortcut"), (Names{".conv", ".norm"}));
}

TEST(ModelStructure, ProjectionsWithoutNormAndWithGain) {
  ModelOptions options;
  options.projection_norm = false;
  options.projection_gain = 0.5f;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(names(graph, "group2.block0.shortcut"), (Names{".conv", ".scale"}));
  EXPECT_EQ(attributes<Scale>(graph, "group2.block0.shortcut.scale").alpha, 0.5f);
  EXPECT_EQ(names(graph, "group2.block1.shortcut"), Names{});  // an identity has no gain
  options = model("preact", 20);
  options.projection_gain = 2;
  EXPECT_EQ(names(build_model(options, kCifar, 10), "group2.block0.shortcut"),
            (Names{".conv", ".scale"}));
}

TEST(ModelStructure, PlainNetsHaveNoSums) {
  for (const char* family : {"resnet", "preact"}) {
    ModelOptions options = model(family, 20);
    options.shortcut = "none";
    const Graph graph = build_model(options, kCifar, 10);
    for (const Op& op : graph.ops())
      EXPECT_FALSE(std::holds_alternative<Add>(op.attributes)) << op.name;
  }
  ModelOptions options;
  options.shortcut = "none";
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(names(graph, "group2.block0."),
            (Names{"conv1", "norm1", "relu1", "conv2", "norm2", "relu2"}));
  EXPECT_EQ(graph.value(find(graph, "group2.block0.conv1")->inputs[0]).name, "group1.block2.relu2");
}

TEST(ModelStructure, ResnetDPoolsItsShortcuts) {
  ModelOptions options = model("resnet", 50);
  options.stem = "resnet_d";
  const Graph graph = build_model(options, {3, 225, 225}, 1000);
  EXPECT_EQ(names(graph, "stem."), (Names{"conv1", "norm1", "relu1", "conv2", "norm2", "relu2",
                                          "conv3", "norm3", "relu3", "pool"}));
  EXPECT_EQ(names(graph, "group1.block0.shortcut"), (Names{".conv", ".norm"}));
  EXPECT_EQ(names(graph, "group2.block0.shortcut"), (Names{".pool", ".conv", ".norm"}));
  const Pool& pool = attributes<Pool>(graph, "group2.block0.shortcut.pool");
  EXPECT_EQ(pool.kind, PoolKind::kAverage);
  EXPECT_TRUE(pool.ceil_mode);
  EXPECT_EQ(pool.kernel, 2);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.shortcut.conv").stride, 1);
  EXPECT_EQ(attributes<Conv2d>(graph, "stem.conv1").out_channels, 32);
  EXPECT_EQ(attributes<Conv2d>(graph, "stem.conv3").out_channels, 64);
}

}  // namespace
}  // namespace lockstep
