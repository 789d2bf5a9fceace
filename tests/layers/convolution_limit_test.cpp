#include "layers/cpu/convolution_limit.h"

#include <gtest/gtest.h>

#include "layers/cpu/instruction_set.h"
#include "tests/layers/model_helpers.h"

namespace lockstep::cpu {
namespace {

TEST(ConvolutionLimit, TimesEveryPassOfEveryConvolutionButTheFirstDataGradient) {
  const Graph graph = build_model(testing_models::model("resnet", 8), testing_models::kCifar, 10);
  int convolutions = 0;
  for (const Op& op : graph.ops()) convolutions += std::holds_alternative<Conv2d>(op.attributes);
  ConvolutionLimit limit(graph, 2, 1, Storage::kF32);
  int timed = 0;
  for (const auto& [layout, count] : limit.layouts()) timed += count;
  EXPECT_EQ(timed, 3 * convolutions - 1);
  const ConvolutionSeconds seconds = limit.measure();
  EXPECT_GT(seconds.forward, 0);
  EXPECT_GT(seconds.data_gradient, 0);
  EXPECT_GT(seconds.weight_gradient, 0);
  EXPECT_DOUBLE_EQ(seconds.total(),
                   seconds.forward + seconds.data_gradient + seconds.weight_gradient);
}

TEST(ConvolutionLimit, TakesGroupsAndLayoutsThatDoNotSuitAll) {
  ModelOptions options = testing_models::model("custom", 0);
  options.block = "bottleneck";
  options.counts = {1};
  options.widths = {64};
  options.cardinality = 32;
  options.base_width = 4;  // 4 channels a group: no blocked layout
  const Graph graph = build_model(options, {3, 8, 8}, 10);
  EXPECT_GT(ConvolutionLimit(graph, 1, 1, Storage::kF32).measure().total(), 0);
}

TEST(ConvolutionLimit, OfBf16) {
  if (bf16_support() == Bf16Support::kEmulated) GTEST_SKIP() << "this CPU only emulates bfloat16";
  const Graph graph = build_model(testing_models::model("resnet", 8), testing_models::kCifar, 10);
  EXPECT_GT(ConvolutionLimit(graph, 2, 1, Storage::kBf16).measure().total(), 0);
}

}  // namespace
}  // namespace lockstep::cpu
