// Finite differences of the twins that transformers and ConvNeXt need.
#include "tests/reference/attention.h"

#include <gtest/gtest.h>

#include "tests/reference/finite_difference.h"

namespace lockstep::reference {
namespace {

using Dims = std::vector<std::int64_t>;

TEST(Twins, Attention) {
  struct Case {
    Dims dims;
    int heads;
  };
  for (const Case& c : {Case{{2, 6, 2, 3}, 1}, Case{{1, 12, 3, 2}, 2}, Case{{2, 9, 1, 1}, 3}}) {
    const Tensor src = random_tensor(c.dims, 1);
    const Tensor diff = random_tensor(attention(src, c.heads).dims, 2);
    EXPECT_LT(gradient_error([&](const Tensor& x) { return attention(x, c.heads); }, src, diff,
                             attention_backward(src, diff, c.heads)),
              kGradientTolerance)
        << dims_text(src);
  }
}

/// Equal keys: every pixel gets the mean of the values.
TEST(Twins, AttentionToEqualKeysIsTheMean) {
  Tensor src = random_tensor({1, 3, 1, 4}, 3);
  for (std::int64_t p = 4; p < 8; ++p) src[p] = 0.7;
  const Tensor dst = attention(src, 1);
  const double mean = (src[8] + src[9] + src[10] + src[11]) / 4;
  for (double v : dst.values) EXPECT_NEAR(v, mean, 1e-12);
}

TEST(Twins, PositionEmbeddingAndLayerScale) {
  for (const Dims& dims : {Dims{2, 3, 2, 4}, Dims{3, 2, 1, 1}}) {
    const Tensor src = random_tensor(dims, 4), diff = random_tensor(dims, 5);
    const Tensor position = random_tensor({dims[2], dims[3], dims[1]}, 6);
    const Tensor factors = random_tensor({dims[1]}, 7);
    EXPECT_LT(gradient_error([&](const Tensor& x) { return position_embedding(x, position); }, src,
                             diff, diff),
              kGradientTolerance);
    EXPECT_LT(gradient_error([&](const Tensor& x) { return position_embedding(src, x); }, position,
                             diff, position_embedding_backward(position, diff)),
              kGradientTolerance);
    const LayerScaleGradients g = layer_scale_backward(src, factors, diff);
    EXPECT_LT(
        gradient_error([&](const Tensor& x) { return layer_scale(x, factors); }, src, diff, g.src),
        kGradientTolerance);
    EXPECT_LT(gradient_error([&](const Tensor& x) { return layer_scale(src, x); }, factors, diff,
                             g.weight),
              kGradientTolerance);
  }
}

}  // namespace
}  // namespace lockstep::reference
