#include "layers/gpu/formulas.h"

#include <gtest/gtest.h>

#include "data/random.h"
#include "tests/reference/classifier.h"
#include "tests/reference/normalization.h"
#include "tests/reference/sgd.h"

// What the GPU's kernels compute, by the same text on the host, against the twins.

namespace lockstep::gpu {
namespace {

using reference::random_tensor;
using reference::Tensor;

TEST(GpuFormulas, BatchNormForwardAndBackward) {
  const Tensor x = random_tensor({6, 1, 5, 7}, 1), g = random_tensor({6, 1, 5, 7}, 2);
  Tensor gamma = random_tensor({1}, 3), beta = random_tensor({1}, 4);
  gamma[0] = static_cast<double>(static_cast<float>(gamma[0]));
  beta[0] = static_cast<double>(static_cast<float>(beta[0]));
  const float eps = 1e-5f;
  const auto expected = reference::batch_norm(x, gamma, beta, static_cast<double>(eps));
  const auto gradients = reference::batch_norm_backward(x, gamma, g, static_cast<double>(eps));
  const auto count = static_cast<double>(x.elements());
  double sum = 0, squares = 0, sum_g = 0, sum_gx = 0;
  for (double v : x.values) sum += v, squares += v * v;
  const NormAffine a = norm_affine(sum, squares, count, static_cast<float>(gamma[0]),
                                   static_cast<float>(beta[0]), eps);
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    EXPECT_NEAR(a.scale * x[i] + a.shift, expected.dst[i], 1e-12);
    sum_g += g[i];
    sum_gx += g[i] * (x[i] - a.mean);
  }
  const NormCoefficients n =
      norm_coefficients(sum_g, sum_gx, count, gamma[0], a.mean, a.inverse_std);
  for (std::int64_t i = 0; i < x.elements(); ++i)
    EXPECT_NEAR(n.a * g[i] + n.b * x[i] + n.k, gradients.src[i], 1e-12);
}

TEST(GpuFormulas, Update) {
  for (const bool nesterov : {false, true}) {
    Tensor p = random_tensor({50}, 1), v = random_tensor({50}, 2);
    const Tensor g = random_tensor({50}, 3), p0 = p, v0 = v;
    reference::sgd_update(p, v, g, {0.25, 0.5, 0.125, nesterov});
    for (std::int64_t i = 0; i < 50; ++i) {
      auto velocity = static_cast<float>(v0[i]), weight = static_cast<float>(p0[i]);
      sgd_element({0.25f, 0.5f, 0.125f, nesterov}, 1.0f, static_cast<float>(g[i]), velocity,
                  weight);
      EXPECT_NEAR(static_cast<double>(weight), p[i], 1e-6);
      EXPECT_NEAR(static_cast<double>(velocity), v[i], 1e-6);
    }
  }
}

TEST(GpuFormulas, Loss) {
  const Tensor z = random_tensor({1, 10}, 1);
  const auto expected = reference::softmax_cross_entropy(z, {3}, 0.1, 4);
  double sum = 0, all = 0;
  for (double v : z.values) sum += std::exp(v);
  for (double v : z.values) all += std::log(sum) - v;
  EXPECT_NEAR(smoothed_loss(std::log(sum), z[3], all, 0.1, 10) / 4, expected.loss, 1e-12);
  for (int c = 0; c < 10; ++c)
    EXPECT_NEAR(static_cast<double>(loss_gradient(z[c], std::log(sum), c == 3, 0.1, 10, 4)),
                expected.diff_src[c], 1e-7);
}

TEST(GpuFormulas, WindowsAndTapsAgree) {
  for (int kernel = 1; kernel <= 4; ++kernel)
    for (int stride = 1; stride <= 3; ++stride)
      for (int padding = 0; padding <= kernel / 2; ++padding) {
        const PoolShape p{.kernel = kernel, .stride = stride, .padding = padding};
        const int size = 11, outputs = (size + 2 * padding - kernel) / stride + 1;
        for (int in = 0; in < size; ++in) {
          const IndexRange windows = windows_of(in, outputs, p);
          for (int out = 0; out < outputs; ++out) {
            const IndexRange taps = window_taps(out, size, p);
            const int tap = in - (out * stride - padding);
            EXPECT_EQ(out >= windows.begin && out < windows.end,
                      tap >= taps.begin && tap < taps.end);
          }
        }
      }
}

TEST(GpuFormulas, ChunksCoverEveryRowOnce) {
  for (std::int64_t rows : {1, 3, 31, 1000, 100352, 1605632})
    for (int vectors : {1, 3, 4, 16, 33, 512})
      for (int blocks : {1, 1024, 8192}) {
        const RowChunks c = row_chunks(rows, vectors, blocks);
        EXPECT_GE(c.column_blocks * c.columns, vectors);
        EXPECT_EQ(kChunkThreads % c.columns, 0);
        EXPECT_GE(c.chunks * c.rows_per_chunk, rows);
        EXPECT_LT((c.chunks - 1) * c.rows_per_chunk, rows);
      }
}

// Constant expressions: what makes device code of the same text possible.
static_assert(philox({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5u);
static_assert(random_key(7, RandomUse::kDropout) != random_key(8, RandomUse::kDropout));

}  // namespace
}  // namespace lockstep::gpu
