#include "layers/model_doubts.h"

#include <gtest/gtest.h>

#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

std::vector<std::string> doubts(const ModelOptions& options, Shape input) {
  return model_doubts(options, build_model(options, input, 10));
}

TEST(ModelDoubts, NetworksForSmallImagesOnLargeOnes) {
  EXPECT_EQ(doubts(model("resnet", 20), kImagenet),
            (std::vector<std::string>{"model.family = resnet, depth = 20 is a network for small "
                                      "images: its first group works on all 224 x 224 "
                                      "pixels; set model.stem = imagenet, or depth = 50, 101 or "
                                      "152 for the ImageNet network (model.stem = cifar "
                                      "if it is meant)"}));
  for (const auto& [family, depth] :
       {std::pair{"preact", 110}, {"wide", 16}, {"resnext", 29}, {"densenet", 40}})
    EXPECT_EQ(doubts(model(family, depth), kImagenet).size(), 1u) << family;
  ModelOptions meant = model("resnet", 20);
  meant.stem = "cifar";
  EXPECT_TRUE(doubts(meant, kImagenet).empty());
}

TEST(ModelDoubts, NoneOfWhatIsUsual) {
  for (const auto& [family, depth] : {std::pair{"resnet", 18},
                                      {"resnet", 50},
                                      {"preact", 101},
                                      {"resnext", 50},
                                      {"densenet", 121}})
    EXPECT_TRUE(doubts(model(family, depth), kImagenet).empty()) << family;
  for (const auto& [family, depth] :
       {std::pair{"resnet", 20}, {"resnet", 18}, {"preact", 110}, {"wide", 16}, {"densenet", 40}})
    EXPECT_TRUE(doubts(model(family, depth), kCifar).empty()) << family;
  EXPECT_TRUE(doubts(model("convnext", 20), kImagenet).empty());
  EXPECT_TRUE(doubts(model("transformer", 20), kCifar).empty());
}

TEST(ModelDoubts, StemsThatLeaveOnePixel) {
  ModelOptions options = model("resnet", 18);
  options.stem = "imagenet";
  EXPECT_EQ(
      doubts(options, kCifar),
      (std::vector<std::string>{
          "model.stem = imagenet leaves one pixel of 32 x 32 to the last group; set model.stem = "
          "cifar, or data.height and width to larger images"}));
}

TEST(ModelDoubts, ThousandsOfPatches) {
  const auto found = doubts(model("transformer", 20), kImagenet);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].find("into 3136 patches"), std::string::npos) << found[0];
  ModelOptions options = model("transformer", 20);
  options.patch = 16;
  EXPECT_TRUE(doubts(options, kImagenet).empty());
  options.patch = 32;
  EXPECT_EQ(
      doubts(options, kCifar),
      (std::vector<std::string>{"model.patch = 32 leaves one patch of 32 x 32 pixels, and nothing "
                                "for attention to compare; set a smaller model.patch"}));
  options = model("transformer", 20);
  options.hybrid = {2, 2};
  EXPECT_TRUE(doubts(options, kCifar).empty());
  EXPECT_TRUE(doubts(options, kImagenet).empty());
  options.stem = "cifar";
  EXPECT_EQ(
      doubts(options, kImagenet),
      (std::vector<std::string>{
          "model.hybrid makes of 224 x 224 pixels 12544 patches, whose attention grows with their "
          "square; set model.stem = imagenet, more groups or model.patch = 4 (1 if it is meant)"}));
  options.stem = "imagenet";
  options.hybrid = {1, 1, 1, 1};
  EXPECT_EQ(
      doubts(options, kCifar),
      (std::vector<std::string>{"model.hybrid leaves one patch of 32 x 32 pixels, and nothing for "
                                "attention to compare; set model.stem = cifar, or fewer groups"}));
}

}  // namespace
}  // namespace lockstep
