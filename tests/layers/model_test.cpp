// The ops that the builders of models put together.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "layers/model_architecture.h"
#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

using Names = std::vector<std::string>;

TEST(ModelStructure, ClassicBasicBlock) {
  const Graph graph = build_model(model("resnet", 20), kCifar, 10);
  EXPECT_EQ(names(graph, "stem."), (Names{"conv", "norm", "relu"}));
  EXPECT_EQ(names(graph, "group1.block0."),
            (Names{"conv1", "norm1", "relu1", "conv2", "norm2", "add", "relu2"}));
  EXPECT_EQ(names(graph, "group2.block0."),
            (Names{"conv1", "norm1", "relu1", "conv2", "norm2", "shortcut.conv", "shortcut.norm",
                   "add", "relu2"}));
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv1").stride, 2);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.shortcut.conv").stride, 2);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block1.conv1").stride, 1);
  EXPECT_EQ(graph.ops().back().name, "loss");
  EXPECT_EQ(graph.value(logits_of(graph)).name, "fc");
  EXPECT_EQ(graph.value(logits_of(graph)).shape, (Shape{10, 1, 1}));
  EXPECT_EQ(graph.value(find(graph, "pool")->inputs[0]).shape, (Shape{64, 8, 8}));
}

TEST(ModelStructure, BottleneckHasStrideAndGroupsInThe3x3) {
  const Graph graph = build_model(model("resnext", 50), kImagenet, 1000);
  EXPECT_EQ(names(graph, "stem."), (Names{"conv", "norm", "relu", "pool"}));
  EXPECT_EQ(names(graph, "group2.block1."), (Names{"conv1", "norm1", "relu1", "conv2", "norm2",
                                                   "relu2", "conv3", "norm3", "add", "relu3"}));
  const Conv2d& conv2 = attributes<Conv2d>(graph, "group2.block0.conv2");
  EXPECT_EQ(conv2.stride, 2);
  EXPECT_EQ(conv2.groups, 32);
  EXPECT_EQ(conv2.out_channels, 256);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv1").stride, 1);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv1").groups, 1);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv3").out_channels, 512);
  EXPECT_EQ(graph.value(find(graph, "pool")->inputs[0]).shape, (Shape{2048, 7, 7}));
}

TEST(ModelStructure, PreActivationBlock) {
  const Graph graph = build_model(model("preact", 20), kCifar, 10);
  EXPECT_EQ(names(graph, "stem."), (Names{"conv"}));
  EXPECT_EQ(names(graph, "group1.block0."),
            (Names{"norm1", "relu1", "conv1", "norm2", "relu2", "conv2", "add"}));
  EXPECT_EQ(names(graph, "group2.block0."),
            (Names{"norm1", "relu1", "conv1", "norm2", "relu2", "conv2", "shortcut.conv", "add"}));
  EXPECT_EQ(names(graph, "final."), (Names{"norm", "relu"}));
  // An identity shortcut carries the block's input, a projection what its first ReLU gives.
  EXPECT_EQ(graph.value(find(graph, "group1.block0.add")->inputs[1]).name, "stem.conv");
  EXPECT_EQ(graph.value(find(graph, "group2.block0.shortcut.conv")->inputs[0]).name,
            "group2.block0.relu1");
}

TEST(ModelStructure, WideDropsOutBetweenTheConvolutions) {
  ModelOptions options = model("wide", 10);
  options.dropout = 0.3f;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(names(graph, "group1.block0."),
            (Names{"norm1", "relu1", "conv1", "norm2", "relu2", "dropout", "conv2", "add"}));
  EXPECT_FLOAT_EQ(attributes<Dropout>(graph, "group1.block0.dropout").probability, 0.3f);
  EXPECT_EQ(find(graph, "dropout"), nullptr);
}

TEST(ModelStructure, OtherFamiliesDropOutBeforeTheClassifier) {
  ModelOptions options;
  options.dropout = 0.2f;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(graph.value(find(graph, "fc")->inputs[0]).name, "dropout");
  EXPECT_FLOAT_EQ(attributes<Dropout>(graph, "dropout").probability, 0.2f);
}

TEST(ModelStructure, SqueezeExcitationEndsTheBranch) {
  ModelOptions options;
  options.se_reduction = 32;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(names(graph, "group1.block0.se."),
            (Names{"pool", "fc1", "relu", "fc2", "sigmoid", "scale"}));
  EXPECT_EQ(attributes<Linear>(graph, "group1.block0.se.fc1").out_features, 1);  // at least 1
  EXPECT_EQ(attributes<Linear>(graph, "group3.block0.se.fc1").out_features, 2);
  EXPECT_EQ(attributes<Linear>(graph, "group3.block0.se.fc2").out_features, 64);
  EXPECT_EQ(graph.value(find(graph, "group1.block0.add")->inputs[0]).name,
            "group1.block0.se.scale");
}

TEST(ModelStructure, ScaleAndStochasticDepthActOnTheBranch) {
  ModelOptions options;
  options.residual_scale = "1/L";
  options.stochastic_depth = 0.5f;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_FLOAT_EQ(attributes<Scale>(graph, "group1.block0.scale").alpha, 1.0f / 9);
  // p_l = 0.5 * l / 9
  for (int l = 1; l <= 9; ++l) {
    const std::string name =
        "group" + std::to_string((l - 1) / 3 + 1) + ".block" + std::to_string((l - 1) % 3);
    EXPECT_NEAR(attributes<StochasticDepth>(graph, name + ".stochastic_depth").keep,
                1 - 0.5 * l / 9, 1e-6);
    EXPECT_EQ(graph.value(find(graph, name + ".add")->inputs[0]).name, name + ".stochastic_depth");
  }
}

TEST(ModelStructure, LearnedSkipsDecideByTheBlocksInput) {
  for (const char* family : {"resnet", "preact"}) {
    ModelOptions options = model(family, 20);
    options.learned_skip = 0.3f;
    const Graph graph = build_model(options, kCifar, 10);
    EXPECT_EQ(names(graph, "group2.block0.gate."),
              (Names{"pool", "fc1", "relu", "fc2", "decide", "scale"}));
    const auto input = [&](const char* op, std::size_t i) {
      return graph.value(find(graph, op)->inputs[i]).name;
    };
    EXPECT_EQ(input("group2.block1.gate.pool", 0),
              std::string("group2.block0.") + (options.family == "resnet" ? "relu2" : "add"));
    EXPECT_EQ(input("group2.block1.gate.scale", 0),
              std::string("group2.block1.") + (options.family == "resnet" ? "norm2" : "conv2"));
    EXPECT_EQ(input("group2.block1.gate.scale", 1), "group2.block1.gate.decide");
    EXPECT_EQ(input("group2.block1.add", 0), "group2.block1.gate.scale");
    const auto& gate = attributes<ImageGate>(graph, "group3.block2.gate.decide");
    EXPECT_FLOAT_EQ(gate.rate, 0.7f);
    EXPECT_EQ(gate.rate_weight, 0.1f);
    const Parameter& bias = graph.parameter(find(graph, "group2.block1.gate.fc2")->parameters[1]);
    EXPECT_NEAR(1 / (1 + std::exp(-bias.constant)), 0.85, 1e-4);
  }
}

TEST(ModelStructure, LastGammaOnlyInTheLastNormOfABranch) {
  ModelOptions options = model("resnet", 50);
  options.last_gamma = 0;
  const Graph graph = build_model(options, kImagenet, 10);
  EXPECT_EQ(attributes<BatchNorm>(graph, "group1.block0.norm3").gamma_init, 0.0f);
  EXPECT_EQ(attributes<BatchNorm>(graph, "group1.block0.norm2").gamma_init, 1.0f);
  EXPECT_EQ(attributes<BatchNorm>(graph, "group1.block0.shortcut.norm").gamma_init, 1.0f);
  EXPECT_EQ(attributes<BatchNorm>(graph, "stem.norm").gamma_init, 1.0f);
}

TEST(ModelStructure, Norms) {
  ModelOptions options;
  options.norm_momentum = 0.2f;
  options.norm_eps = 1e-3f;
  EXPECT_EQ(attributes<BatchNorm>(build_model(options, kCifar, 10), "stem.norm").momentum, 0.2f);
  options.norm = "layer";
  EXPECT_EQ(attributes<GroupNorm>(build_model(options, kCifar, 10), "stem.norm").groups, 1);
  options.norm = "group";
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(attributes<GroupNorm>(graph, "stem.norm").groups, 16);  // 16 channels
  EXPECT_EQ(attributes<GroupNorm>(graph, "group3.block0.norm1").groups, 32);
  EXPECT_EQ(attributes<GroupNorm>(graph, "stem.norm").eps, 1e-3f);
  EXPECT_TRUE(graph.statistics().empty());
}

TEST(ModelStructure, Activations) {
  ModelOptions options;
  auto stem = [&] { return attributes<Activation>(build_model(options, kCifar, 10), "stem.relu"); };
  EXPECT_EQ(stem().kind, ActivationKind::kRelu);
  options.activation = "leaky_relu";
  EXPECT_EQ(stem().alpha, 0.01f);
  options.activation_alpha = 0.2f;
  EXPECT_EQ(stem().alpha, 0.2f);
  options.activation = "elu";
  options.activation_alpha = 0;
  EXPECT_EQ(stem().kind, ActivationKind::kElu);
  EXPECT_EQ(stem().alpha, 1.0f);
  options.activation = "gelu";
  EXPECT_EQ(stem().kind, ActivationKind::kGelu);
}

TEST(ModelStructure, LabelSmoothingIsTheLosss) {
  ModelOptions options;
  options.label_smoothing = 0.1f;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(attributes<SoftmaxCrossEntropy>(graph, "loss").label_smoothing, 0.1f);
}

TEST(ModelStructure, ResidualUNetHasAShortcutBesideEveryTwoConvolutions) {
  ModelOptions options = unet();
  options.widths = {16, 32};
  options.skip = "add";
  options.residual = true;
  options.last_gamma = 0;
  const Graph graph = build_model(options, {16, 8, 8}, 5);
  EXPECT_EQ(names(graph, "encoder1."),
            (Names{"conv1", "norm1", "relu1", "conv2", "norm2", "projection", "projection_norm",
                   "sum", "relu2", "pool"}));
  EXPECT_EQ(names(graph, "decoder1."),
            (Names{"up", "add", "conv1", "norm1", "relu1", "conv2", "norm2", "sum", "relu2"}));
  EXPECT_EQ(graph.value(find(graph, "decoder1.sum")->inputs[1]).name, "decoder1.add");
  EXPECT_EQ(attributes<BatchNorm>(graph, "encoder2.norm2").gamma_init, 0.0f);
  EXPECT_EQ(attributes<BatchNorm>(graph, "encoder2.projection_norm").gamma_init, 1.0f);
}

TEST(ModelStructure, UNetJoinsEqualResolutions) {
  ModelOptions options = unet();
  options.widths = {16, 32, 64};
  options.dropout = 0.5f;
  const Graph graph = build_model(options, {3, 24, 20}, 5);
  EXPECT_EQ(names(graph, "encoder1."),
            (Names{"conv1", "norm1", "relu1", "conv2", "norm2", "relu2", "pool"}));
  EXPECT_EQ(names(graph, "encoder3."),
            (Names{"conv1", "norm1", "relu1", "conv2", "norm2", "relu2"}));
  EXPECT_EQ(names(graph, "decoder2."),
            (Names{"up", "concat", "conv1", "norm1", "relu1", "conv2", "norm2", "relu2"}));
  EXPECT_EQ(graph.value(find(graph, "decoder2.up")->inputs[0]).name, "dropout");
  EXPECT_EQ(graph.value(find(graph, "decoder1.concat")->inputs[0]).name, "encoder1.relu2");
  EXPECT_EQ(graph.value(find(graph, "decoder1.concat")->output).shape, (Shape{32, 24, 20}));
  EXPECT_EQ(graph.value(logits_of(graph)).shape, (Shape{5, 24, 20}));
  options.skip = "add";
  options.upsample = "bilinear";
  const Graph other = build_model(options, {3, 24, 20}, 5);
  EXPECT_EQ(names(other, "decoder1.up"), (Names{".conv", ""}));
  EXPECT_EQ(graph.value(find(graph, "decoder1.up")->output).shape, (Shape{16, 24, 20}));
  EXPECT_EQ(other.value(find(other, "decoder1.add")->inputs[1]).name, "encoder1.relu2");
  EXPECT_TRUE(labels_pixels(options));
  EXPECT_FALSE(labels_pixels(model("resnet", 20)));
}

TEST(ModelStructure, HighwayBlocksCarryOrTransform) {
  const Graph graph = build_model(
      {.family = "highway", .counts = {1, 2}, .widths = {8, 16}, .gate_bias = -3}, kCifar, 10);
  EXPECT_EQ(names(graph, "group1.block0."),
            (Names{"conv", "norm", "relu", "gate.conv", "gate.sigmoid", "lerp"}));
  EXPECT_EQ(names(graph, "group2.down."), (Names{"conv", "norm", "relu"}));
  const Op* lerp = find(graph, "group2.block1.lerp");
  EXPECT_EQ(graph.value(lerp->inputs[0]).name, "group2.block0.lerp");
  EXPECT_EQ(graph.value(lerp->inputs[1]).name, "group2.block1.relu");
  EXPECT_EQ(graph.value(lerp->inputs[2]).name, "group2.block1.gate.sigmoid");
  EXPECT_EQ(graph.value(lerp->output).shape, (Shape{16, 16, 16}));
  const Parameter& bias = graph.parameter(find(graph, "group2.block1.gate.conv")->parameters[1]);
  EXPECT_EQ(bias.constant, -3.0f);
}

TEST(ModelStructure, MlpIsOfVectors) {
  const Graph graph = build_model({.family = "mlp",
                                   .conditional_skip = 0.3f,
                                   .counts = {2, 1},
                                   .widths = {8, 4},
                                   .mlp_ratio = 3},
                                  {1, 4, 5}, 10);
  EXPECT_EQ(names(graph, "stem."), (Names{"flatten", "fc"}));
  EXPECT_EQ(graph.value(find(graph, "stem.flatten")->output).shape, (Shape{20, 1, 1}));
  EXPECT_EQ(names(graph, "group1.block0."),
            (Names{"norm1", "relu1", "fc1", "norm2", "relu2", "fc2", "gate", "add"}));
  EXPECT_EQ(attributes<Linear>(graph, "group1.block0.fc1").out_features, 24);
  EXPECT_NEAR(attributes<BranchGate>(graph, "group1.block1.gate").keep, 0.8f, 1e-6f);
  EXPECT_EQ(attributes<Linear>(graph, "group2.transition.fc").out_features, 4);
  EXPECT_EQ(find(graph, "pool"), nullptr);
}

TEST(ModelStructure, ConvNeXtBlocksAreDepthwiseThenWide) {
  const Graph graph = build_model({.family = "convnext",
                                   .stochastic_depth = 0.4f,
                                   .counts = {1, 1},
                                   .widths = {8, 16},
                                   .layer_scale = 0.1f},
                                  kCifar, 10);
  EXPECT_EQ(names(graph, "stem."), (Names{"conv", "norm"}));
  EXPECT_EQ(names(graph, "group1.block0."), (Names{"conv1", "norm", "conv2", "gelu", "conv3",
                                                   "layer_scale", "stochastic_depth", "add"}));
  EXPECT_EQ(names(graph, "group2.downsample."), (Names{"norm", "conv"}));
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv1").groups, 16);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv2").out_channels, 64);
  EXPECT_EQ(attributes<LayerScale>(graph, "group2.block0.layer_scale").init, 0.1f);
  EXPECT_EQ(attributes<Activation>(graph, "group2.block0.gelu").kind, ActivationKind::kGelu);
  EXPECT_EQ(graph.value(find(graph, "pool")->inputs[0]).shape, (Shape{16, 8, 8}));
  EXPECT_EQ(graph.value(find(graph, "fc")->inputs[0]).name, "norm");
}

TEST(ModelStructure, TransformersNormBeforeOrAfter) {
  ModelOptions options{.family = "transformer", .counts = {2}, .widths = {64}};
  const Graph pre = build_model(options, kCifar, 10);
  EXPECT_EQ(names(pre, "stem."), (Names{"patches", "position"}));
  EXPECT_EQ(names(pre, "group1.block1."), (Names{"norm1", "qkv", "attention", "proj", "add1",
                                                 "norm2", "fc1", "gelu", "fc2", "add2"}));
  EXPECT_EQ(attributes<Attention>(pre, "group1.block1.attention").heads, 2);
  EXPECT_EQ(pre.value(find(pre, "group1.block1.attention")->output).shape, (Shape{64, 8, 8}));
  EXPECT_EQ(pre.value(find(pre, "group1.block1.add1")->inputs[1]).name, "group1.block0.add2");
  EXPECT_EQ(pre.value(find(pre, "pool")->inputs[0]).name, "final.norm");
  options.pre_norm = false;
  options.dropout = 0.1f;
  options.conditional_skip = 0.2f;
  const Graph post = build_model(options, kCifar, 10);
  EXPECT_EQ(names(post, "group1.block1."),
            (Names{"qkv", "attention", "proj", "dropout1", "branch1.gate", "add1", "norm1", "fc1",
                   "gelu", "fc2", "dropout2", "branch2.gate", "add2", "norm2"}));
  EXPECT_EQ(post.value(find(post, "pool")->inputs[0]).name, "group1.block1.norm2");
}

TEST(ModelStructure, DenseLayersAppendToTheirInput) {
  ModelOptions options = model("densenet", 40);
  const Graph plain = build_model(options, kCifar, 10);
  EXPECT_EQ(names(plain, "stem."), (Names{"conv"}));
  EXPECT_EQ(names(plain, "group1.block0."), (Names{"norm1", "relu1", "conv1", "concat"}));
  EXPECT_EQ(names(plain, "group1.transition."), (Names{"norm", "relu", "conv", "pool"}));
  EXPECT_EQ(names(plain, "group3.transition."), Names{});
  const Op* concat = find(plain, "group1.block1.concat");
  EXPECT_EQ(plain.value(concat->inputs[0]).name, "group1.block0.concat");
  EXPECT_EQ(plain.value(concat->output).shape, (Shape{16 + 2 * 12, 32, 32}));
  EXPECT_EQ(plain.value(find(plain, "group2.transition.pool")->output).shape, (Shape{304, 8, 8}));
  options.block = "bottleneck";
  options.compression = 0.5f;
  options.dropout = 0.2f;
  const Graph bc = build_model(options, kCifar, 10);
  EXPECT_EQ(names(bc, "group1.block0."), (Names{"norm1", "relu1", "conv1", "dropout1", "norm2",
                                                "relu2", "conv2", "dropout2", "concat"}));
  EXPECT_EQ(attributes<Conv2d>(bc, "group1.block0.conv1").out_channels, 48);
  EXPECT_EQ(attributes<Conv2d>(bc, "group1.transition.conv").out_channels, (24 + 6 * 12) / 2);
  const Graph large = build_model(model("densenet", 121), kImagenet, 1000);
  EXPECT_EQ(names(large, "stem."), (Names{"conv", "norm", "relu", "pool"}));
  EXPECT_EQ(large.value(find(large, "pool")->inputs[0]).shape, (Shape{1024, 7, 7}));
}

// --- Custom -------------------------------------------------------------------------------------

TEST(ModelCustom, ExpressesEveryBlock) {
  for (const std::string block : {"basic", "bottleneck"})
    for (const bool pre_activation : {false, true})
      for (const std::string shortcut : {"A", "B", "C"})
        for (const std::string stem : {"cifar", "imagenet", "resnet_d"}) {
          ModelOptions options;
          options.family = "custom";
          options.block = block;
          options.pre_activation = pre_activation;
          options.shortcut = shortcut;
          options.stem = stem;
          options.counts = {1, 2};
          options.widths = {8, 16};
          options.se_reduction = 4;
          const Graph graph = build_model(options, {3, 33, 17}, 10);
          const int channels = block == "basic" ? 16 : 64;
          EXPECT_EQ(graph.value(find(graph, "pool")->inputs[0]).shape.channels, channels);
          EXPECT_EQ(find(graph, "final.norm") != nullptr, pre_activation);
        }
}

TEST(ModelCustom, WidthsAreThoseOfThe3x3) {
  ModelOptions options;
  options.family = "custom";
  options.block = "bottleneck";
  options.counts = {1, 1};
  options.widths = {16, 32};
  options.cardinality = 4;
  options.stem_width = 12;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(attributes<Conv2d>(graph, "stem.conv").out_channels, 12);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv2").out_channels, 32);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv2").groups, 4);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv3").out_channels, 128);
}

TEST(ModelCustom, WidenAndBaseWidth) {
  ModelOptions options;
  options.family = "custom";
  options.block = "bottleneck";
  options.counts = {1, 1};
  options.widths = {8, 16};
  options.widen = 2;
  options.cardinality = 4;
  options.base_width = 16;
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(attributes<Conv2d>(graph, "stem.conv").out_channels, 16);  // the first group's
  // 32 channels of the group: four of 32 * 16 / 64, and the block still gives 4 * 32.
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv2").out_channels, 32);
  EXPECT_EQ(attributes<Conv2d>(graph, "group2.block0.conv3").out_channels, 128);
  options.base_width = 32;
  EXPECT_EQ(
      attributes<Conv2d>(build_model(options, kCifar, 10), "group2.block0.conv2").out_channels, 64);
}

TEST(ModelCustom, DepthFiveThousandBuilds) {
  ModelOptions options = model("resnet", 4998 + 2);
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(graph.ops().size(), 3 + 833 * 3 * 7 + 4 + 3u);
  EXPECT_EQ(resolve_architecture(options, kCifar).blocks(), 2499);
}

}  // namespace
}  // namespace lockstep
