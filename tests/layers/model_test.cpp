#include "layers/model.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "data/error.h"
#include "layers/model_architecture.h"

namespace lockstep {
namespace {

constexpr Shape kCifar{3, 32, 32};
constexpr Shape kImagenet{3, 224, 224};

ModelOptions model(const std::string& family, int depth) {
  ModelOptions options;
  options.family = family;
  options.depth = depth;
  return options;
}

std::int64_t cifar_parameters(const ModelOptions& options) {
  return build_model(options, kCifar, 10).parameter_count();
}

std::int64_t imagenet_parameters(const ModelOptions& options) {
  return build_model(options, kImagenet, 1000).parameter_count();
}

std::string config_error(const ModelOptions& options, Shape input = kCifar) {
  try {
    build_model(options, input, 10);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no ConfigError";
}

const Op* find(const Graph& graph, const std::string& name) {
  for (const Op& op : graph.ops())
    if (op.name == name) return &op;
  return nullptr;
}

template <class T>
const T& attributes(const Graph& graph, const std::string& name) {
  const Op* op = find(graph, name);
  if (!op) throw std::runtime_error("no op " + name);
  return std::get<T>(op->attributes);
}

std::vector<std::string> names(const Graph& graph, const std::string& prefix) {
  std::vector<std::string> found;
  for (const Op& op : graph.ops())
    if (op.name.rfind(prefix, 0) == 0) found.push_back(op.name.substr(prefix.size()));
  return found;
}

// --- Parameter counts, as published -------------------------------------------------------------

// He et al. 2015, table 6 (0.27, 0.46, 0.66, 0.85, 1.7, 19.4 M): shortcut A, as there.
TEST(ModelParameters, CifarResnets) {
  auto count = [](int depth) {
    ModelOptions options = model("resnet", depth);
    options.shortcut = "A";
    return cifar_parameters(options);
  };
  EXPECT_EQ(count(20), 269722);
  EXPECT_EQ(count(32), 464154);
  EXPECT_EQ(count(44), 658586);
  EXPECT_EQ(count(56), 853018);
  EXPECT_EQ(count(110), 1727962);
  EXPECT_EQ(count(1202), 19421274);
}

// torchvision's model zoo, to the parameter.
TEST(ModelParameters, ImagenetResnets) {
  EXPECT_EQ(imagenet_parameters(model("resnet", 18)), 11689512);
  EXPECT_EQ(imagenet_parameters(model("resnet", 34)), 21797672);
  EXPECT_EQ(imagenet_parameters(model("resnet", 50)), 25557032);
  EXPECT_EQ(imagenet_parameters(model("resnet", 101)), 44549160);
  EXPECT_EQ(imagenet_parameters(model("resnet", 152)), 60192808);
}

TEST(ModelParameters, ImagenetResnextAndWide) {
  EXPECT_EQ(imagenet_parameters(model("resnext", 50)), 25028904);
  ModelOptions options = model("resnext", 101);
  options.base_width = 8;
  EXPECT_EQ(imagenet_parameters(options), 88791336);
  options.cardinality = 64;
  options.base_width = 4;
  EXPECT_EQ(imagenet_parameters(options), 83455272);
  options = model("resnet", 50);
  options.base_width = 128;  // torchvision's wide_resnet50_2
  EXPECT_EQ(imagenet_parameters(options), 68883240);
}

// Hu et al. 2018: SE-ResNet-50 has 28.1 M.
TEST(ModelParameters, SqueezeExcitation) {
  ModelOptions options = model("resnet", 50);
  options.se_reduction = 16;
  EXPECT_EQ(imagenet_parameters(options), 28088024);
}

// He et al. 2019, table 5: ResNet-50-D adds 19 thousand to ResNet-50 by its stem.
TEST(ModelParameters, ResnetD) {
  ModelOptions options = model("resnet", 50);
  options.stem = "resnet_d";
  EXPECT_EQ(imagenet_parameters(options), 25576264);
}

// He et al. 2016, table 4: 1.7 M and 10.2 M.
TEST(ModelParameters, PreActivation) {
  EXPECT_NEAR(static_cast<double>(cifar_parameters(model("preact", 110))), 1.73e6, 1e4);
  EXPECT_NEAR(static_cast<double>(cifar_parameters(model("preact", 164))), 1.70e6, 1e4);
  EXPECT_NEAR(static_cast<double>(cifar_parameters(model("preact", 1001))), 10.3e6, 1e5);
}

// Zagoruyko & Komodakis 2016, table 4.
TEST(ModelParameters, WideResnets) {
  auto count = [](int depth, int widen) {
    ModelOptions options = model("wide", depth);
    options.widen = widen;
    return static_cast<double>(cifar_parameters(options)) / 1e6;
  };
  EXPECT_NEAR(count(40, 1), 0.6, 0.05);
  EXPECT_NEAR(count(16, 4), 2.7, 0.06);
  EXPECT_NEAR(count(40, 4), 8.9, 0.06);
  EXPECT_NEAR(count(16, 8), 11.0, 0.06);
  EXPECT_NEAR(count(22, 8), 17.2, 0.06);
  EXPECT_NEAR(count(28, 10), 36.5, 0.06);
}

// Xie et al. 2017, table 7: ResNeXt-29 8x64d 34.4 M, 16x64d 68.1 M.
TEST(ModelParameters, CifarResnext) {
  ModelOptions options = model("resnext", 29);
  EXPECT_NEAR(static_cast<double>(cifar_parameters(options)), 34.4e6, 0.06e6);
  options.cardinality = 16;
  EXPECT_NEAR(static_cast<double>(cifar_parameters(options)), 68.1e6, 0.1e6);
}

TEST(ModelParameters, ImagenetDepthOnSmallImagesKeepsTheResolution) {
  EXPECT_EQ(cifar_parameters(model("resnet", 18)), 11173962);  // the usual ResNet-18 for CIFAR
}

// --- Depths -------------------------------------------------------------------------------------

TEST(ModelDepth, FiftyIsTwoNetworks) {
  const std::int64_t cifar50 = cifar_parameters(model("resnet", 50));  // 6n+2, n = 8
  EXPECT_LT(cifar50, 1000000);
  ModelOptions options = model("resnet", 50);
  options.block = "bottleneck";
  EXPECT_EQ(cifar_parameters(options), 23520842);  // ResNet-50 with a CIFAR stem
  options.block = "basic";
  EXPECT_LT(imagenet_parameters(options), 1000000);
  options.block = "auto";
  options.stem = "cifar";
  EXPECT_LT(imagenet_parameters(options), 1000000);
}

TEST(ModelDepth, PreActivationDepthsThatAreBoth) {
  auto block = [](int depth) { return resolve_architecture(model("preact", depth), kCifar).block; };
  EXPECT_EQ(block(20), BlockKind::kBasic);
  EXPECT_EQ(block(110), BlockKind::kBasic);
  EXPECT_EQ(block(29), BlockKind::kBottleneck);
  EXPECT_EQ(block(164), BlockKind::kBottleneck);
  EXPECT_EQ(block(1001), BlockKind::kBottleneck);
  EXPECT_EQ(block(1202), BlockKind::kBasic);
}

TEST(ModelDepth, WrongDepthsNameTheNearestValidOnes) {
  EXPECT_EQ(config_error(model("resnet", 21)),
            "model.depth = 21: family resnet takes 6n+2 (..., 14, 20, 26, ...) or 18, 34, 50, 101, "
            "152");
  EXPECT_EQ(config_error(model("resnet", 3)),
            "model.depth = 3: family resnet takes 6n+2 (8, 14, 20, ...) or 18, 34, 50, 101, 152");
  EXPECT_EQ(config_error(model("wide", 29)),
            "model.depth = 29: family wide takes 6n+4 (..., 22, 28, 34, ...)");
  EXPECT_EQ(config_error(model("resnext", 28)),
            "model.depth = 28: family resnext takes 9n+2 (..., 20, 29, 38, ...) or 50, 101, 152");
  EXPECT_EQ(
      config_error(model("preact", 165)),
      "model.depth = 165: family preact takes 6n+2 (..., 158, 164, 170, ...) with basic blocks "
      "or 9n+2 (..., 155, 164, 173, ...) with bottlenecks; 18, 34, 50, 101, 152 are family = "
      "resnet with pre_activation = true");
  ModelOptions options = model("resnet", 22);
  options.block = "bottleneck";
  EXPECT_EQ(config_error(options),
            "model.depth = 22: family resnet takes with block = bottleneck 9n+2 (11, 20, 29, "
            "...) or 50, 101, 152");
  for (int depth : {-4, 0, 1, 2}) EXPECT_NE(config_error(model("resnet", depth)), "no ConfigError");
}

TEST(ModelDepth, BlocksThatADepthDoesNotHave) {
  const std::string way_out = "; leave block = auto, or use family = custom";
  auto error = [](const std::string& family, int depth, const std::string& block) {
    ModelOptions options = model(family, depth);
    options.block = block;
    return config_error(options);
  };
  EXPECT_EQ(error("resnet", 18, "bottleneck"),
            "model.block = bottleneck: family resnet of depth 18 has basic blocks" + way_out);
  EXPECT_EQ(error("resnet", 101, "basic"),
            "model.block = basic: family resnet of depth 101 has bottleneck blocks" + way_out);
  EXPECT_EQ(error("wide", 16, "bottleneck"),
            "model.block = bottleneck: family wide of depth 16 has basic blocks" + way_out);
  EXPECT_EQ(error("resnext", 29, "basic"),
            "model.block = basic: family resnext of depth 29 has bottleneck blocks" + way_out);
}

// --- Other errors -------------------------------------------------------------------------------

struct BadOption {
  std::function<void(ModelOptions&)> change;
  std::string message;
};

TEST(ModelErrors, NameKeyValueAndWayOut) {
  const std::vector<BadOption> cases{
      {[](auto& o) { o.family = "resnett"; },
       "model.family = resnett: takes resnet, preact, wide, resnext, custom"},
      {[](auto& o) { o.block = "big"; }, "model.block = big: takes auto, basic, bottleneck"},
      {[](auto& o) { o.stem = "vgg"; }, "model.stem = vgg: takes auto, cifar, imagenet, resnet_d"},
      {[](auto& o) { o.shortcut = "none"; }, "model.shortcut = none: takes A, B, C"},
      {[](auto& o) { o.norm = "instance"; }, "model.norm = instance: takes batch, group, layer"},
      {[](auto& o) { o.activation = "swish"; },
       "model.activation = swish: takes relu, leaky_relu, elu, gelu"},
      {[](auto& o) { o.activation_alpha = 0.5f; },
       "model.activation_alpha = 0.5: relu has none; use activation = leaky_relu or elu"},
      {[](auto& o) { o.activation_alpha = -1; },
       "model.activation_alpha = -1: must be a number of at least 0"},
      {[](auto& o) { o.residual_scale = "half"; },
       "model.residual_scale = half: takes a number above 0, or 1/L (L blocks)"},
      {[](auto& o) { o.residual_scale = "0.0"; },
       "model.residual_scale = 0.0: takes a number above 0, or 1/L (L blocks)"},
      {[](auto& o) { o.widen = 0; }, "model.widen = 0: must be at least 1"},
      {[](auto& o) { o.stem_width = -1; }, "model.stem_width = -1: must be at least 0"},
      {[](auto& o) { o.se_reduction = -1; }, "model.se_reduction = -1: must be at least 0"},
      {[](auto& o) { o.norm_groups = 0; }, "model.norm_groups = 0: must be at least 1"},
      {[](auto& o) { o.dropout = 1; }, "model.dropout = 1: must be at least 0 and below 1"},
      {[](auto& o) { o.stochastic_depth = -0.5f; },
       "model.stochastic_depth = -0.5: must be at least 0 and below 1"},
      {[](auto& o) { o.label_smoothing = 1.5f; },
       "model.label_smoothing = 1.5: must be at least 0 and below 1"},
      {[](auto& o) { o.norm_momentum = 0; },
       "model.norm_momentum = 0: must be above 0 and at most 1"},
      {[](auto& o) { o.norm_eps = 0; }, "model.norm_eps = 0: must be above 0"},
      {[](auto& o) { o.cardinality = 4; },
       "model.cardinality = 4: only bottleneck blocks have it; use block = bottleneck"},
      {[](auto& o) { o.base_width = 4; },
       "model.base_width = 4: only bottleneck blocks have it; use block = bottleneck"},
      {[](auto& o) { o.block = "bottleneck", o.cardinality = 3; },
       "model.cardinality = 3: does not divide the 16 channels of group1; change it, widths or "
       "base_width"},
      {[](auto& o) { o.pre_activation = true, o.last_gamma = 0; },
       "model.last_gamma = 0: a pre-activation branch does not end with a norm; use "
       "residual_scale"},
      {[](auto& o) {
         o.counts = {2, 2};
       },
       "model.counts and model.widths belong to family custom, not to resnet; remove them, or use "
       "family = custom"},
      {[](auto& o) {
         o.family = "custom", o.counts = {2, 2}, o.widths = {16};
       },
       "model.counts has 2 entries and model.widths 1: family custom takes one of each per group, "
       "e.g. counts = 3,3,3 and widths = 16,32,64"},
      {[](auto& o) {
         o.family = "custom", o.counts = {2, 0}, o.widths = {16, 32};
       },
       "model.counts = 0: must be at least 1"},
  };
  for (const BadOption& bad : cases) {
    ModelOptions options;
    bad.change(options);
    EXPECT_EQ(config_error(options), bad.message);
  }
}

TEST(ModelErrors, TooFewClasses) {
  EXPECT_THROW(build_model(ModelOptions{}, kCifar, 1), ConfigError);
}

// Shortcut A cannot take channels away.
TEST(ModelErrors, PaddingToFewerChannelsNamesTheWayOut) {
  ModelOptions options;
  options.family = "custom";
  options.counts = {1, 1};
  options.widths = {32, 16};
  options.shortcut = "A";
  try {
    build_model(options, kCifar, 10);
    FAIL() << "no ShapeError";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(),
                 "group2.block0.shortcut.pad (channel_pad): cannot pad 32 channels to 16; use "
                 "shortcut = B (projection) or C");
  }
  options.shortcut = "B";
  EXPECT_NO_THROW(build_model(options, kCifar, 10));
}

// --- Structure ----------------------------------------------------------------------------------

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

TEST(ModelStructure, ShortcutAPadsAndCProjectsEverywhere) {
  ModelOptions options;
  options.shortcut = "A";
  const Graph padded = build_model(options, kCifar, 10);
  EXPECT_EQ(names(padded, "group2.block0.shortcut"), (Names{".pad"}));
  EXPECT_EQ(attributes<ChannelPad>(padded, "group2.block0.shortcut.pad").out_channels, 32);
  EXPECT_EQ(names(padded, "group2.block1.shortcut"), Names{});
  options.shortcut = "C";
  const Graph projected = build_model(options, kCifar, 10);
  EXPECT_EQ(names(projected, "group1.block0.shortcut"), (Names{".conv", ".norm"}));
  EXPECT_EQ(names(projected, "group2.block1.shortcut"), (Names{".conv", ".norm"}));
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

TEST(ModelCustom, DepthFiveThousandBuilds) {
  ModelOptions options = model("resnet", 4998 + 2);
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(graph.ops().size(), 3 + 833 * 3 * 7 + 4 + 3u);
  EXPECT_EQ(resolve_architecture(options, kCifar).blocks(), 2499);
}

}  // namespace
}  // namespace lockstep
