// The twins' forward passes against values worked out by hand: finite differences show that forward
// and backward fit together, not that forward is the right function.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/reference/adamw.h"
#include "tests/reference/channels.h"
#include "tests/reference/classifier.h"
#include "tests/reference/convolution.h"
#include "tests/reference/elementwise.h"
#include "tests/reference/normalization.h"
#include "tests/reference/pooling.h"
#include "tests/reference/sgd.h"

namespace lockstep::reference {
namespace {

using Values = std::vector<double>;

/// 1, 2, 3, ...
Tensor counted(std::vector<std::int64_t> dims) {
  Tensor tensor = make_tensor(std::move(dims));
  std::iota(tensor.values.begin(), tensor.values.end(), 1.0);
  return tensor;
}

void expect_near(const Values& found, const Values& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-12) << "element " << i;
}

TEST(Values, ConvolutionWithStrideAndPadding) {
  const Tensor ones = make_tensor({1, 1, 3, 3}, 1);
  const Tensor bias{{1}, {0.5}};
  // Sums of the 3x3 windows of 1..9 that are centred on its corners.
  EXPECT_EQ(conv2d(counted({1, 1, 3, 3}), ones, bias, {2, 1, 1}).values,
            (Values{12.5, 16.5, 24.5, 28.5}));
}

TEST(Values, ConvolutionIsACorrelation) {
  const Tensor weight{{1, 1, 2, 2}, {1, 0, 0, 10}};
  EXPECT_EQ(conv2d(counted({1, 1, 2, 2}), weight, {}, {}).values, (Values{41}));
}

TEST(Values, GroupsSeeTheirOwnChannels) {
  const Tensor weight{{4, 1, 1, 1}, {1, 10, 100, 1000}};
  EXPECT_EQ(conv2d(Tensor{{1, 2, 1, 1}, {3, 7}}, weight, {}, {1, 0, 2}).values,
            (Values{3, 30, 700, 7000}));
}

TEST(Values, BatchNormAndRunningStatistics) {
  const Tensor src{{2, 1, 1, 2}, {1, 3, 5, 7}};
  const NormResult result = batch_norm(src, Tensor{{1}, {2}}, Tensor{{1}, {1}}, 4);
  EXPECT_EQ(result.mean, Values{4});
  EXPECT_EQ(result.variance, Values{5});
  expect_near(result.dst.values, {-1, 1.0 / 3, 5.0 / 3, 3});  // sqrt(5 + 4) = 3

  Values mean{1}, variance{1};
  update_running_statistics(result, 4, 0.1, mean, variance);
  expect_near(mean, {1.3});
  expect_near(variance, {0.9 + 0.1 * 20 / 3});
}

TEST(Values, RunningStatisticsStayFinite) {
  const Tensor src{{1, 1, 1, 1}, {3}};
  const NormResult result = batch_norm(src, Tensor{{1}, {2}}, Tensor{{1}, {1}}, 1e-5);
  EXPECT_EQ(result.dst.values, Values{1});
  Values mean{0}, variance{1};
  update_running_statistics(result, 1, 0.1, mean, variance);
  expect_near(mean, {0.3});
  expect_near(variance, {0.9});
  update_running_statistics(result, 0, 0.1, mean, variance);
  expect_near(mean, {0.3});
}

TEST(Values, InferenceUsesGivenStatistics) {
  const Tensor src{{1, 2, 1, 1}, {5, 5}};
  expect_near(
      batch_norm_inference(src, Tensor{{2}, {1, 2}}, Tensor{{2}, {0, 1}}, {1, 2}, {3, 8}, 1).values,
      {2, 3});
}

TEST(Values, NormsDifferInTheirSets) {
  const Tensor src = counted({2, 4, 1, 2});
  const Tensor one = make_tensor({4}, 1), zero = make_tensor({4});
  EXPECT_EQ(batch_norm(src, one, zero, 0).mean, (Values{5.5, 7.5, 9.5, 11.5}));
  EXPECT_EQ(group_norm(src, one, zero, 2, 0).mean, (Values{2.5, 6.5, 10.5, 14.5}));
  EXPECT_EQ(layer_norm_image(src, one, zero, 0).mean, (Values{4.5, 12.5}));
  EXPECT_EQ(layer_norm_pixel(src, one, zero, 0).mean, (Values{4, 5, 12, 13}));
}

TEST(Values, Activations) {
  const Tensor src{{4}, {-2, 0, 1, 3}};
  EXPECT_EQ(activation(src, ActivationKind::kRelu).values, (Values{0, 0, 1, 3}));
  EXPECT_EQ(activation(src, ActivationKind::kLeakyRelu, 0.25).values, (Values{-0.5, 0, 1, 3}));
  expect_near(activation(src, ActivationKind::kElu, 2).values, {2 * std::exp(-2) - 2, 0, 1, 3});
  expect_near(activation(src, ActivationKind::kGelu).values,
              {-0.045500263896358417, 0, 0.84134474606854293, 2.9959503059051097});
  expect_near(activation(src, ActivationKind::kSigmoid).values,
              {1 / (1 + std::exp(2)), 0.5, 1 / (1 + std::exp(-1)), 1 / (1 + std::exp(-3))});
}

TEST(Values, Factors) {
  const Tensor src = counted({2, 2, 1, 2});
  EXPECT_EQ(scale(src, 0.5)[7], 4);
  EXPECT_EQ(dropout(Tensor{{3}, {1, 2, 3}}, Tensor{{3}, {1, 0, 1}}, 0.5).values, (Values{2, 0, 6}));
  EXPECT_EQ(stochastic_depth(src, {0, 2}).values, (Values{0, 0, 0, 0, 10, 12, 14, 16}));
  EXPECT_EQ(channel_scale(src, Tensor{{2, 2}, {1, 2, 3, 4}}).values,
            (Values{1, 2, 6, 8, 15, 18, 28, 32}));
}

TEST(Values, PoolsCountPaddingAsAsked) {
  const Tensor src = counted({1, 1, 3, 3});
  EXPECT_EQ(max_pool(src, {3, 2, 1}).values, (Values{5, 6, 8, 9}));
  EXPECT_EQ(max_pool(scale(src, -1), {3, 2, 1}).values, (Values{-1, -2, -4, -5}));
  expect_near(average_pool(src, {3, 2, 1, false, false}).values, {3, 4, 6, 7});
  expect_near(average_pool(src, {3, 2, 1, false, true}).values,
              {12.0 / 9, 16.0 / 9, 24.0 / 9, 28.0 / 9});
  expect_near(average_pool(src, {2, 2, 0, true, false}).values, {3, 4.5, 7.5, 9});
  // What ceil_mode adds is never counted; padding is.
  expect_near(average_pool(src, {2, 2, 0, true, true}).values, {3, 4.5, 7.5, 9});
  // A window that would begin in the padding at the end is left out.
  EXPECT_EQ(average_pool(src, {2, 2, 1, true, true}).dims, (std::vector<std::int64_t>{1, 1, 2, 2}));
  EXPECT_EQ(global_average_pool(src).values, Values{5});
}

TEST(Values, EqualMaximaGiveTheGradientToTheFirst) {
  const Tensor diff{{1, 1, 1, 1}, {1}};
  EXPECT_EQ(max_pool_backward(make_tensor({1, 1, 2, 2}, 3), diff, {2, 2, 0}).values,
            (Values{1, 0, 0, 0}));
}

TEST(Values, Channels) {
  const Tensor src = counted({1, 1, 3, 3});
  const Tensor back = channel_pad(src, {2, 2, 0});
  EXPECT_EQ(back.dims, (std::vector<std::int64_t>{1, 2, 2, 2}));
  EXPECT_EQ(back.values, (Values{1, 3, 7, 9, 0, 0, 0, 0}));
  EXPECT_EQ(channel_pad(src, {2, 2, 1}).values, (Values{0, 0, 0, 0, 1, 3, 7, 9}));
  EXPECT_EQ(concat({Tensor{{2, 1, 1, 1}, {1, 2}}, Tensor{{2, 2, 1, 1}, {3, 4, 5, 6}}}).values,
            (Values{1, 3, 4, 2, 5, 6}));
}

TEST(Values, LinearAndLoss) {
  const Tensor weight{{2, 2}, {1, 2, 3, 4}}, bias{{2}, {10, 20}};
  EXPECT_EQ(linear(Tensor{{1, 2}, {5, 6}}, weight, bias).values, (Values{27, 59}));

  const Tensor logits{{1, 2}, {1000, 1000 + std::log(3.0)}};  // probabilities 1/4 and 3/4
  const CrossEntropy result = softmax_cross_entropy(logits, {0}, 0.2, 4);
  EXPECT_NEAR(result.loss, (0.9 * std::log(4) - 0.1 * std::log(0.75)) / 4, 1e-12);
  expect_near(result.diff_src.values, {(0.25 - 0.9) / 4, (0.75 - 0.1) / 4});
}

TEST(Values, SgdMomentumNesterovAndDecay) {
  const Tensor gradient{{1}, {2}};
  Tensor p{{1}, {1}}, v{{1}, {0}};
  const SgdOptions options{0.1, 0.5, 0.25, false};
  sgd_update(p, v, gradient, options);  // g = 2.25
  expect_near({p[0], v[0]}, {0.775, 2.25});
  sgd_update(p, v, gradient, options);  // g = 2.19375
  expect_near({p[0], v[0]}, {0.443125, 3.31875});

  Tensor q{{1}, {1}}, u{{1}, {0}};
  sgd_update(q, u, gradient, {0.1, 0.5, 0.25, true});  // moves by g + 0.5*v = 3.375
  expect_near({q[0], u[0]}, {0.6625, 2.25});
}

TEST(Values, AdamWCorrectsTheBiasAndDecaysApart) {
  Tensor p{{1}, {1}}, m{{1}, {0}}, v{{1}, {0}};
  const AdamWOptions options{0.1, 0.5, 0.75, 0.5, 0.25};
  adamw_update(p, m, v, Tensor{{1}, {2}}, 1, options);  // 0.975 - 0.1 * 2 / (2 + 0.5)
  expect_near({p[0], m[0], v[0]}, {0.895, 1, 1});
  adamw_update(p, m, v, Tensor{{1}, {-2}}, 2, options);  // m/0.75 = -2/3, v/0.4375 = 4
  expect_near({p[0], m[0], v[0]}, {0.895 * 0.975 + 0.1 * (2.0 / 3) / 2.5, -0.5, 1.75});
}

TEST(Values, MisfitsAreRefused) {
  const Tensor src = counted({1, 4, 3, 3});
  EXPECT_THROW(conv2d(src, make_tensor({2, 3, 1, 1}), {}, {}), std::invalid_argument);
  EXPECT_THROW(conv2d(src, make_tensor({3, 2, 1, 1}), {}, {1, 0, 2}), std::invalid_argument);
  EXPECT_THROW(add(src, counted({1, 4, 3, 2})), std::invalid_argument);
  EXPECT_THROW(group_norm(src, counted({4}), counted({4}), 3, 1e-5), std::invalid_argument);
  EXPECT_THROW(max_pool(src, {2, 2, 2}), std::invalid_argument);
  EXPECT_THROW(concat({src, counted({1, 4, 2, 3})}), std::invalid_argument);
  EXPECT_THROW(softmax_cross_entropy(make_tensor({1, 2}), {2}, 0, 1), std::invalid_argument);
}

}  // namespace
}  // namespace lockstep::reference
