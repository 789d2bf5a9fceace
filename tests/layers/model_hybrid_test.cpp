// A transformer on what a residual network makes of the images.
#include <gtest/gtest.h>

#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

using Names = std::vector<std::string>;

TEST(ModelStructure, HybridTransformerHasAResNetBeforeItsPatches) {
  ModelOptions options{.family = "transformer", .counts = {1}, .widths = {64}, .hybrid = {1, 2}};
  const Graph graph = build_model(options, kCifar, 10);
  EXPECT_EQ(names(graph, "stem."), (Names{"conv", "norm", "relu"}));
  EXPECT_EQ(names(graph, "embed."), (Names{"patches", "position"}));
  EXPECT_EQ(graph.value(find(graph, "embed.patches")->inputs[0]).name, "resnet2.block1.relu2");
  EXPECT_EQ(graph.value(find(graph, "embed.patches")->inputs[0]).shape, (Shape{32, 16, 16}));
  EXPECT_EQ(graph.value(find(graph, "embed.position")->output).shape, (Shape{64, 16, 16}));
  EXPECT_EQ(attributes<Activation>(graph, "resnet1.block0.relu1").kind, ActivationKind::kRelu);
  EXPECT_EQ(attributes<Activation>(graph, "group1.block0.gelu").kind, ActivationKind::kGelu);
  const Graph large = build_model(options, kImagenet, 10);
  EXPECT_EQ(large.value(find(large, "embed.patches")->output).shape, (Shape{64, 28, 28}));
}

}  // namespace
}  // namespace lockstep
