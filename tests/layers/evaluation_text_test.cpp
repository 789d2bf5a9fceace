#include "layers/evaluation_text.h"

#include <gtest/gtest.h>

#include <functional>

#include "layers/model.h"

namespace lockstep {
namespace {

std::string text(const std::string& family,
                 const std::function<void(ModelOptions&)>& change = nullptr) {
  ModelOptions options;
  options.family = family;
  if (family == "transformer" || family == "convnext") options.counts = {2};
  if (family == "transformer" || family == "convnext") options.widths = {64};
  if (family == "unet") options.widths = {8, 16};
  if (change) change(options);
  return evaluation_text(build_model(options, {3, 32, 32}, 10));
}

TEST(EvaluationText, IsTheSameWhateverCountsInTrainingOnly) {
  const auto same = [](const std::function<void(ModelOptions&)>& change) {
    EXPECT_EQ(text("resnet", change), text("resnet"));
  };
  same([](ModelOptions& o) { o.dropout = 0.5f; });
  same([](ModelOptions& o) { o.stochastic_depth = 0.5f; });
  same([](ModelOptions& o) { o.label_smoothing = 0.1f; });
  same([](ModelOptions& o) { o.norm_momentum = 0.01f; });
  same([](ModelOptions& o) { o.last_gamma = 0; });
  const auto share = [](float skip) { return [skip](ModelOptions& o) { o.learned_skip = skip; }; };
  EXPECT_EQ(text("resnet", share(0.2f)), text("resnet", share(0.3f)));  // only their training
  same([](ModelOptions& o) { o.activation = "relu"; });                 // what auto stands for
  same([](ModelOptions& o) { o.norm = "batch"; });
  EXPECT_EQ(text("convnext", [](ModelOptions& o) { o.layer_scale = 1; }), text("convnext"));
}

TEST(EvaluationText, DiffersWithEveryKeyThatChangesTheNetwork) {
  const auto differs = [](const char* family, const std::function<void(ModelOptions&)>& change) {
    EXPECT_NE(text(family, change), text(family));
  };
  differs("resnet", [](ModelOptions& o) { o.norm_eps = 1e-3f; });
  differs("resnet", [](ModelOptions& o) { o.activation = "elu"; });
  differs("resnet", [](ModelOptions& o) { o.residual_scale = "0.5"; });
  differs("resnet", [](ModelOptions& o) { o.conditional_skip = 0.2f; });
  differs("resnet", [](ModelOptions& o) { o.learned_skip = 0.2f; });
  differs("resnet", [](ModelOptions& o) { o.shortcut = "A"; });
  differs("resnet", [](ModelOptions& o) { o.pre_activation = true; });
  differs("resnet", [](ModelOptions& o) { o.norm = "group"; });
  differs("transformer", [](ModelOptions& o) { o.heads = 4; });
  differs("transformer", [](ModelOptions& o) { o.pre_norm = false; });
  differs("transformer", [](ModelOptions& o) { o.hybrid = {1}; });
  differs("transformer", [](ModelOptions& o) { o.norm_eps = 1e-3f; });
  differs("unet", [](ModelOptions& o) { o.skip = "add"; });
  differs("unet", [](ModelOptions& o) { o.upsample = "bilinear"; });
  differs("unet", [](ModelOptions& o) { o.residual = true; });
  const auto groups = [](int count) {
    return [count](ModelOptions& o) {
      o.norm = "group";
      o.norm_groups = count;
    };
  };
  EXPECT_NE(text("resnet", groups(4)), text("resnet", groups(8)));
  EXPECT_EQ(text("resnet", groups(16)), text("resnet", groups(48)));  // both divide 16 and 32 by 16
}

}  // namespace
}  // namespace lockstep
