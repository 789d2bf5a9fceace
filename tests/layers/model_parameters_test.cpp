// Parameter counts, as published.
#include <gtest/gtest.h>

#include <string>

#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

// He et al. 2015, table 6 (0.27, 0.46, 0.66, 0.85, 1.7, 19.4 M): shortcut A, as there.
TEST(ModelParameters, CifarResnets) {
  auto count = [](int depth) {
    ModelOptions options = model("resnet", depth);
    options.shortcut = std::string("A");
    return cifar_parameters(options);
  };
  EXPECT_EQ(count(20), 269722);
  EXPECT_EQ(count(32), 464154);
  EXPECT_EQ(count(44), 658586);
  EXPECT_EQ(count(56), 853018);
  EXPECT_EQ(count(110), 1727962);
  EXPECT_EQ(count(1202), 19421274);
}

// Plain nets have the parameters of shortcut A, which has none of its own.
TEST(ModelParameters, CifarPlainNets) {
  for (const int depth : {20, 56}) {
    ModelOptions options = model("resnet", depth);
    options.shortcut = "none";
    EXPECT_EQ(cifar_parameters(options), depth == 20 ? 269722 : 853018);
  }
}

// A gate has 16 features of its block's input, and one bias each and at the end.
TEST(ModelParameters, LearnedSkips) {
  ModelOptions options = model("resnet", 20);
  options.shortcut = "A";
  options.learned_skip = 0.4f;
  const int inputs = 16 + 2 * 16 + 16 + 2 * 32 + 32 + 2 * 64;
  EXPECT_EQ(cifar_parameters(options), 269722 + 16 * inputs + 9 * (16 + 16 + 1));
}

// torchvision's model zoo, to the parameter.
TEST(ModelParameters, ImagenetResnets) {
  EXPECT_EQ(imagenet_parameters(model("resnet", 18)), 11689512);
  EXPECT_EQ(imagenet_parameters(model("resnet", 34)), 21797672);
  EXPECT_EQ(imagenet_parameters(model("resnet", 50)), 25557032);
  EXPECT_EQ(imagenet_parameters(model("resnet", 101)), 44549160);
  EXPECT_EQ(imagenet_parameters(model("resnet", 152)), 60192808);
}

// Those of resnet, less the stem's norm and the projections' norms, more the last norm.
TEST(ModelParameters, ImagenetPreactivation) {
  for (const int depth : {18, 34, 50, 101, 152}) {
    ModelOptions same = model("resnet", depth);
    same.pre_activation = true;
    EXPECT_EQ(imagenet_parameters(model("preact", depth)), imagenet_parameters(same)) << depth;
  }
  EXPECT_EQ(imagenet_parameters(model("preact", 50)), 25549352);
  // Small images and their stem keep the CIFAR network, as do blocks that only it has.
  EXPECT_LT(cifar_parameters(model("preact", 101)), 2000000);
  ModelOptions cifar = model("preact", 101);
  cifar.stem = "cifar";
  EXPECT_LT(imagenet_parameters(cifar), 2000000);
  ModelOptions basic = model("preact", 50);
  basic.block = "basic";
  EXPECT_LT(imagenet_parameters(basic), 2000000);
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

// Huang et al. 2017, table 2: 1.0, 7.0 and 27.2 M; with bottlenecks and compression 0.8, 15.3 and
// 25.6 M. 121 to 201 are torchvision's, to the parameter.
TEST(ModelParameters, DenseNets) {
  const auto millions = [](int depth, int growth, bool bc) {
    ModelOptions options = model("densenet", depth);
    options.growth = growth;
    if (bc) options.block = "bottleneck", options.compression = 0.5f;
    return static_cast<double>(cifar_parameters(options)) / 1e6;
  };
  EXPECT_NEAR(millions(40, 12, false), 1.0, 0.05);
  EXPECT_NEAR(millions(100, 12, false), 7.0, 0.05);
  EXPECT_NEAR(millions(100, 24, false), 27.2, 0.06);
  EXPECT_NEAR(millions(100, 12, true), 0.8, 0.05);
  EXPECT_NEAR(millions(250, 24, true), 15.3, 0.06);
  EXPECT_NEAR(millions(190, 40, true), 25.6, 0.06);
  EXPECT_EQ(imagenet_parameters(model("densenet", 121)), 7978856);
  EXPECT_EQ(imagenet_parameters(model("densenet", 161)), 28681000);
  EXPECT_EQ(imagenet_parameters(model("densenet", 169)), 14149480);
  EXPECT_EQ(imagenet_parameters(model("densenet", 201)), 20013928);
}

// The usual PyTorch U-Net (padded, batch norm) has 31,037,633 with one class and biases in its
// up-convolutions, which a norm follows here.
TEST(ModelParameters, UNet) {
  const std::int64_t two_classes = build_model(unet(), {3, 64, 64}, 2).parameter_count();
  EXPECT_EQ(two_classes, 31037633 - (512 + 256 + 128 + 64) + 65);
}

// 1x1 convolutions and their norms, where channels change: everywhere but for the sum's decoder.
TEST(ModelParameters, ResidualUNet) {
  ModelOptions options = unet();
  const auto count = [&](bool residual) {
    options.residual = residual;
    return build_model(options, {3, 64, 64}, 2).parameter_count();
  };
  std::int64_t encoder = 3 * 64 + 2 * 64, decoder = 0;
  for (const int width : {64, 128, 256, 512}) {
    encoder += width * 2 * width + 2 * 2 * width;
    decoder += 2 * width * width + 2 * width;
  }
  EXPECT_EQ(count(true) - count(false), encoder + decoder);
  options.skip = "add";
  EXPECT_EQ(count(true) - count(false), encoder);
}

// Two convolutions a block, of which the gate's has biases.
TEST(ModelParameters, Highway) {
  const auto block = [](int width) { return 2 * 9 * width * width + 2 * width + width; };
  const auto plain = [](int in, int out) { return 9 * in * out + 2 * out; };
  EXPECT_EQ(cifar_parameters({.family = "highway"}), plain(3, 16) + 3 * block(16) + plain(16, 32) +
                                                         3 * block(32) + plain(32, 64) +
                                                         3 * block(64) + 650);
}

// ResNet-50 without its classifier (torchvision), and a transformer on its 2048 x 7 x 7.
TEST(ModelParameters, HybridTransformer) {
  ModelOptions options{.family = "transformer", .counts = {2}, .widths = {64}, .patch = 1};
  const std::int64_t alone = build_model(options, {2048, 7, 7}, 1000).parameter_count();
  options.hybrid = {3, 4, 6, 3};
  options.block = "bottleneck";
  options.patch = 0;
  EXPECT_EQ(imagenet_parameters(options), 25557032 - 2049 * 1000 + alone);
}

TEST(ModelParameters, Mlp) {
  const int stem = 3072 * 32, block = 2 * 32 + 32 * 64 + 2 * 64 + 64 * 32;
  ModelOptions options{.family = "mlp", .counts = {5}, .widths = {32}, .mlp_ratio = 2};
  EXPECT_EQ(cifar_parameters(options), stem + 5 * block + 2 * 32 + 330);
  options.norm = "layer";  // after which a bias means something
  EXPECT_EQ(cifar_parameters(options), stem + 32 + 5 * (block + 64 + 32) + 2 * 32 + 330);
}

// torchvision's ConvNeXt-Tiny, to the parameter.
TEST(ModelParameters, ConvNeXt) {
  EXPECT_EQ(imagenet_parameters({.family = "convnext"}), 28589128);
}

// DeiT-Tiny (Touvron et al. 2021, arXiv:2012.12877) without its class token and that one's position.
TEST(ModelParameters, Transformer) {
  const ModelOptions tiny{
      .family = "transformer", .counts = {12}, .widths = {192}, .patch = 16, .heads = 3};
  EXPECT_EQ(imagenet_parameters(tiny), 5717416 - 2 * 192);
}

TEST(ModelParameters, ImagenetDepthOnSmallImagesKeepsTheResolution) {
  EXPECT_EQ(cifar_parameters(model("resnet", 18)), 11173962);  // the usual ResNet-18 for CIFAR
}

}  // namespace
}  // namespace lockstep
