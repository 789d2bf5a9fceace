#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "layers/graph.h"
#include "layers/model.h"

namespace lockstep {
namespace {

std::vector<float> initialized(const Parameter& parameter, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
  initialize_parameter(parameter, seed, values.data());
  return values;
}

double mean(const std::vector<float>& values) {
  double sum = 0;
  for (float v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

/// Mean of the power `order` of (v - mean).
double moment(const std::vector<float>& values, int order) {
  const double m = mean(values);
  double sum = 0;
  for (float v : values) sum += std::pow(v - m, order);
  return sum / static_cast<double>(values.size());
}

double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean(a)) * (b[i] - mean(b));
  return sum / static_cast<double>(a.size()) / std::sqrt(moment(a, 2) * moment(b, 2));
}

Parameter convolution(const std::string& name, std::vector<std::int64_t> dims) {
  return {.name = name, .dims = std::move(dims), .init = Init::kHeNormal, .decay = true};
}

TEST(Initialize, HeNormalHasTheMomentsOfItsFanOut) {
  const std::vector<float> w = initialized(convolution("conv.weight", {64, 32, 3, 3}), 1);
  const double deviation = std::sqrt(2.0 / (64 * 9));
  const double n = static_cast<double>(w.size());
  // Four standard errors of each estimate.
  EXPECT_NEAR(mean(w), 0, 4 * deviation / std::sqrt(n));
  EXPECT_NEAR(moment(w, 2) / (deviation * deviation), 1, 4 * std::sqrt(2 / n));
  EXPECT_NEAR(moment(w, 4) / std::pow(deviation, 4), 3, 4 * std::sqrt(96 / n));
}

TEST(Initialize, LinearIsUniformWithinItsBound) {
  const Parameter fc{
      .name = "fc.weight", .dims = {100, 64}, .init = Init::kLinearUniform, .decay = true};
  const std::vector<float> w = initialized(fc, 1);
  const double bound = 1 / std::sqrt(64.0);
  const auto [low, high] = std::minmax_element(w.begin(), w.end());
  EXPECT_GE(*low, -bound);
  EXPECT_LE(*high, bound);
  EXPECT_LT(*low, -0.99 * bound);
  EXPECT_GT(*high, 0.99 * bound);
  EXPECT_NEAR(mean(w), 0, 4 * bound / std::sqrt(3.0 * static_cast<double>(w.size())));
  EXPECT_NEAR(moment(w, 2), bound * bound / 3, 0.05 * bound * bound / 3);
}

TEST(Initialize, ConstantsAndZeros) {
  const Parameter gamma{.name = "g", .dims = {3}, .init = Init::kConstant, .constant = 0.1f};
  EXPECT_EQ(initialized(gamma, 1), (std::vector<float>{0.1f, 0.1f, 0.1f}));
  const Parameter zero{.name = "z", .dims = {2}, .init = Init::kZero, .constant = 5};
  EXPECT_EQ(initialized(zero, 1), (std::vector<float>{0, 0}));
}

TEST(Initialize, SeedAndNameGiveIndependentNumbers) {
  const Parameter a = convolution("group1.block0.conv1.weight", {16, 16, 3, 3});
  const Parameter b = convolution("group1.block0.conv2.weight", {16, 16, 3, 3});
  EXPECT_EQ(initialized(a, 7), initialized(a, 7));
  // 2304 pairs: a correlation of 0.08 would be four standard errors.
  EXPECT_LT(std::abs(correlation(initialized(a, 7), initialized(b, 7))), 0.08);
  EXPECT_LT(std::abs(correlation(initialized(a, 7), initialized(a, 8))), 0.08);
}

TEST(Initialize, ASeedMeansTheseNumbersForEver) {
  const std::vector<float> w = initialized(convolution("stem.conv.weight", {16, 3, 3, 3}), 1);
  EXPECT_FLOAT_EQ(w[0], 0.110573702f);
  EXPECT_FLOAT_EQ(w[1], 0.0098971026f);
  EXPECT_FLOAT_EQ(w[431], -0.0165758003f);
}

TEST(Initialize, TheRestOfTheNetDoesNotMatter) {
  ModelOptions options;
  const Graph shallow = build_model(options, {3, 32, 32}, 10);
  options.depth = 56;
  options.se_reduction = 8;
  const Graph deep = build_model(options, {3, 32, 32}, 10);
  int compared = 0;
  for (const Parameter& p : shallow.parameters())
    for (const Parameter& q : deep.parameters())
      if (p.name == q.name) {
        EXPECT_EQ(initialized(p, 3), initialized(q, 3)) << p.name;
        ++compared;
      }
  EXPECT_EQ(compared, static_cast<int>(shallow.parameters().size()));
}

TEST(Initialize, LastGammaReachesItsParameter) {
  ModelOptions options;
  options.last_gamma = 0.1f;
  const Graph graph = build_model(options, {3, 32, 32}, 10);
  int last = 0;
  for (const Parameter& p : graph.parameters()) {
    if (p.init != Init::kConstant) continue;
    const bool is_last = p.name.find(".norm2.weight") != std::string::npos;
    const bool is_bias = p.name.find(".bias") != std::string::npos;
    EXPECT_EQ(initialized(p, 1)[0], is_last ? 0.1f : is_bias ? 0.0f : 1.0f) << p.name;
    last += is_last;
  }
  EXPECT_EQ(last, 9);
}

}  // namespace
}  // namespace lockstep
