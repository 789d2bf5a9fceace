#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "layers/model_architecture.h"
#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

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
  EXPECT_EQ(config_error(model("resnet", 1001)),
            "model.depth = 1001: family resnet takes 6n+2 (..., 998, 1004, 1010, ...) or 18, 34, "
            "50, 101, 152; 1001 is 9n+2: set block = bottleneck");
  EXPECT_EQ(config_error(model("wide", 29)),
            "model.depth = 29: family wide takes 6n+4 (..., 22, 28, 34, ...)");
  EXPECT_EQ(config_error(model("resnext", 28)),
            "model.depth = 28: family resnext takes 9n+2 (..., 20, 29, 38, ...) or 50, 101, 152");
  EXPECT_EQ(
      config_error(model("preact", 165)),
      "model.depth = 165: family preact takes 6n+2 (..., 158, 164, 170, ...) with basic blocks "
      "or 9n+2 (..., 155, 164, 173, ...) with bottlenecks, or 18, 34, 50, 101, 152");
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
       "model.family = resnett: takes resnet, preact, wide, resnext, custom, densenet, highway, "
       "mlp, "
       "convnext, transformer, unet"},
      {[](auto& o) { o.growth = 12; },
       "model.growth = 12: means nothing to family resnet; leave it out"},
      {[](auto& o) {
         o.family = "densenet", o.depth = 40, o.widths = {16, 32};
       },
       "model.widths = 16,32: means nothing to family densenet; leave it out"},
      {[](auto& o) { o.family = "densenet", o.depth = 41; },
       "model.depth = 41: family densenet takes 3n+4 (40, 100), 6n+4 with block = bottleneck (40, "
       "100, 190, 250), or 121, 161, 169, 201, 264"},
      {[](auto& o) { o.family = "densenet", o.depth = 40, o.growth = 1 << 20; },
       "model.growth = 1048576: the last layers would have more than 1048576 channels; make growth "
       "or depth smaller"},
      {[](auto& o) { o.family = "densenet", o.depth = 40, o.compression = 1.5f; },
       "model.compression = 1.5: must be above 0 and at most 1"},
      {[](auto& o) { o.family = "unet", o.widths = {16}; },
       "model.widths = 1 entries: family unet takes 2 to 12 levels, e.g. 32,64,128,256"},
      {[](auto& o) {
         o.family = "mlp", o.widths = {16, 8};
       },
       "model.counts has 1 entries and model.widths 2: family mlp takes one of each per group"},
      {[](auto& o) { o.family = "highway", o.gate_bias = 30; },
       "model.gate_bias = 30: must be from -20 to 20; usual -1 to -3"},
      {[](auto& o) { o.family = "transformer", o.widths = {48}, o.counts = {2}, o.heads = 5; },
       "model.heads = 5: does not divide the 48 features of model.widths"},
      {[](auto& o) {
         o.family = "transformer", o.widths = {48, 96}, o.counts = {2, 2};
       },
       "model.widths = 2 entries: family transformer has one width and one count of blocks, e.g. "
       "counts = 6, widths = 192"},
      {[](auto& o) { o.family = "transformer", o.stem = "cifar"; },
       "model.stem = cifar: means nothing to family transformer; leave it out"},
      {[](auto& o) {
         o.hybrid = {2, 2};
       },
       "model.hybrid = 2,2: means nothing to family resnet; leave it out"},
      {[](auto& o) { o.family = "transformer", o.hybrid = {1}, o.stem_width = 1 << 17; },
       "model.stem_width = 131072: must be at most 65536 with model.hybrid"},
      {[](auto& o) { o.family = "transformer", o.hybrid = std::vector<int>(9, 1); },
       "model.hybrid = 9 entries: takes at most 8 groups, e.g. 3,4,6"},
      {[](auto& o) { o.family = "convnext", o.norm = "batch"; },
       "model.norm = batch: family convnext has layer norms; leave it out"},
      {[](auto& o) { o.family = "convnext", o.mlp_ratio = 65; },
       "model.mlp_ratio = 65: must be at most 64"},
      {[](auto& o) { o.family = "unet", o.conditional_skip = 0.5f; },
       "model.conditional_skip = 0.5: means nothing to family unet; leave it out"},
      {[](auto& o) { o.family = "unet", o.last_gamma = 0; },
       "model.last_gamma = 0: means nothing to family unet; leave it out"},
      {[](auto& o) { o.residual = true; },
       "model.residual = true: means nothing to family resnet; leave it out"},
      {[](auto& o) { o.family = "unet", o.skip = "sum"; }, "model.skip = sum: takes concat, add"},
      {[](auto& o) { o.family = "unet", o.upsample = "nearest"; },
       "model.upsample = nearest: takes transposed, bilinear"},
      {[](auto& o) { o.skip = "add"; },
       "model.skip = add: means nothing to family resnet; leave it out"},
      {[](auto& o) { o.block = "big"; }, "model.block = big: takes auto, basic, bottleneck"},
      {[](auto& o) { o.stem = "vgg"; }, "model.stem = vgg: takes auto, cifar, imagenet, resnet_d"},
      {[](auto& o) { o.shortcut = "D"; }, "model.shortcut = D: takes A, B, C, none"},
      {[](auto& o) { o.projection_gain = 0; },
       "model.projection_gain = 0: must be a number above 0"},
      {[](auto& o) { o.shortcut = "A", o.projection_gain = 0.5f; },
       "model.projection_gain = 0.5: only shortcut = B or C projects; leave it out"},
      {[](auto& o) { o.shortcut = "none", o.projection_norm = false; },
       "model.projection_norm = false: only shortcut = B or C projects; leave it out"},
      {[](auto& o) { o.pre_activation = true, o.projection_norm = false; },
       "model.projection_norm = false: projections of a pre-activation network have no norm; leave "
       "it out"},
      {[](auto& o) { o.family = "mlp", o.projection_gain = 2; },
       "model.projection_gain = 2: means nothing to family mlp; leave it out"},
      {[](auto& o) { o.shortcut = "none", o.stochastic_depth = 0.2f; },
       "model.stochastic_depth = 0.2: shortcut = none leaves no sum whose branch it could change; "
       "leave it out"},
      {[](auto& o) { o.shortcut = "none", o.last_gamma = 0; },
       "model.last_gamma = 0: shortcut = none leaves no sum whose branch it could change; leave it "
       "out"},
      {[](auto& o) { o.shortcut = "none", o.residual_scale = "1/L"; },
       "model.residual_scale = 1/L: shortcut = none leaves no sum whose branch it could change; "
       "leave it out"},
      {[](auto& o) { o.shortcut = "none", o.learned_skip = 0.2f; },
       "model.learned_skip = 0.2: shortcut = none leaves no sum whose branch it could change; "
       "leave "
       "it out"},
      {[](auto& o) { o.learned_skip = 1; },
       "model.learned_skip = 1: must be at least 0 and below 1"},
      {[](auto& o) { o.learned_skip_weight = 0.5f; },
       "model.learned_skip_weight = 0.5: means nothing without learned_skip"},
      {[](auto& o) { o.learned_skip = 0.2f, o.learned_skip_weight = 0; },
       "model.learned_skip_weight = 0: must be a number above 0"},
      {[](auto& o) { o.learned_skip = 0.2f, o.conditional_skip = 0.3f; },
       "model.learned_skip = 0.2: not together with conditional_skip = 0.3, which draws what a "
       "gate "
       "is to learn; leave one of them out"},
      {[](auto& o) { o.learned_skip = 0.2f, o.stochastic_depth = 0.1f; },
       "model.learned_skip = 0.2: not together with stochastic_depth = 0.1, which draws what a "
       "gate "
       "is to learn; leave one of them out"},
      {[](auto& o) { o.family = "mlp", o.learned_skip = 0.5f; },
       "model.learned_skip = 0.5: means nothing to family mlp; leave it out"},
      {[](auto& o) { o.norm = "instance"; },
       "model.norm = instance: takes auto, batch, group, layer"},
      {[](auto& o) { o.activation = "swish"; },
       "model.activation = swish: takes auto, relu, leaky_relu, elu, gelu, hardswish"},
      {[](auto& o) { o.activation_alpha = 0.5f; },
       "model.activation_alpha = 0.5: auto has none; use activation = leaky_relu or elu"},
      {[](auto& o) { o.activation_alpha = -1; },
       "model.activation_alpha = -1: must be a number of at least 0"},
      {[](auto& o) { o.residual_scale = "half"; },
       "model.residual_scale = half: takes a number above 0, or 1/L (L blocks)"},
      {[](auto& o) { o.residual_scale = "0.0"; },
       "model.residual_scale = 0.0: takes a number above 0, or 1/L (L blocks)"},
      {[](auto& o) { o.widen = 0; }, "model.widen = 0: must be at least 1"},
      {[](auto& o) { o.stem_width = -1; }, "model.stem_width = -1: must be at least 0"},
      {[](auto& o) { o.stem_width = 1 << 30; },
       "model.stem_width = 1073741824: must be at most 1048576"},
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
      {[](auto& o) { o.depth = 600002; },
       "model.depth = 600002: 300000 blocks are more than the 100000 that a model may have"},
      {[](auto& o) {
         o.family = "custom", o.counts = {2147483647, 2147483647}, o.widths = {8, 8};
       },
       "model.counts: 4294967294 blocks are more than the 100000 that a model may have"},
      {[](auto& o) { o.widen = 2147483647; },
       "model.widen = 2147483647: group1 would have more than 1048576 channels; make widen, "
       "widths, "
       "cardinality or base_width smaller"},
      {[](auto& o) {
         o.block = "bottleneck", o.widen = o.base_width = 2147483647, o.cardinality = 1 << 30;
       },
       "model.widen = 2147483647: group1 would have more than 1048576 channels; make widen, "
       "widths, "
       "cardinality or base_width smaller"},
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
  options.shortcut = std::string("A");
  try {
    build_model(options, kCifar, 10);
    FAIL() << "no ShapeError";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(),
                 "group2.block0.shortcut.pad (channel_pad): cannot pad 32 channels to 16; use "
                 "shortcut = B (projection) or C");
  }
  options.shortcut = std::string("B");
  EXPECT_NO_THROW(build_model(options, kCifar, 10));
}

}  // namespace
}  // namespace lockstep
