// Layer norm of pixels over channels, per instruction set: f32 against double precision, bfloat16
// against f32.
#include <cmath>

#include "layers/cpu/bf16.h"
#include "tests/layers/kernels_fixture.h"

namespace lockstep::cpu {
namespace {

class KernelsLayerNormTest : public KernelsTest {};

using Floats = std::vector<float>;
using Halves = std::vector<Bf16>;
constexpr float kEps = 1e-3f;

std::vector<Geometry> sizes() {
  std::vector<Geometry> all;
  for (int channels : {1, 3, 8, 16, 17, 31, 96, 261})
    for (int pixels : {1, 6}) all.push_back({channels, pixels, 0});
  return all;
}

struct Case {
  Geometry g;
  std::size_t channels, n;
  Floats x, dy, gamma, beta;

  explicit Case(const Geometry& geometry)
      : g(geometry),
        channels(static_cast<std::size_t>(g.channels)),
        n(g.image_elements()),
        x(normal(2 * n, 1, 3.0f)),
        dy(normal(2 * n, 2)),
        gamma(normal(channels, 3, 1, 0.3f)),
        beta(normal(channels, 4)) {}
};

TEST_P(KernelsLayerNormTest, EqualsDoublePrecision) {
  for (const Geometry& g : sizes()) {
    SCOPED_TRACE(text_of(g, 2));
    const Case c(g);
    const std::size_t pixels = static_cast<std::size_t>(g.pixels);
    Floats y(2 * c.n), saved(4 * pixels), dx(c.n), dgamma(c.channels), dbeta(c.channels);
    GetParam()->f32.layer_norm(g, 2, c.x.data(), y.data(), c.gamma.data(), c.beta.data(), kEps,
                               saved.data());
    // The second image's gradients.
    GetParam()->f32.layer_norm_backward(g, c.dy.data() + c.n, c.x.data() + c.n, c.gamma.data(),
                                        saved.data() + 2 * pixels, dx.data(), dgamma.data(),
                                        dbeta.data());
    std::vector<double> expected_gamma(c.channels, 0.0), expected_beta(c.channels, 0.0);
    for (std::size_t p = 0; p < 2 * pixels; ++p) {
      const float *x = &c.x[p * c.channels], *dy = &c.dy[p * c.channels];
      double mean = 0, var = 0, sum = 0, product = 0;
      for (std::size_t i = 0; i < c.channels; ++i) mean += x[i];
      mean /= static_cast<double>(c.channels);
      for (std::size_t i = 0; i < c.channels; ++i) var += (x[i] - mean) * (x[i] - mean);
      const double r =
          1 / std::sqrt(var / static_cast<double>(c.channels) + static_cast<double>(kEps));
      for (std::size_t i = 0; i < c.channels; ++i) {
        const double normalized = (x[i] - mean) * r;
        ASSERT_NEAR(y[p * c.channels + i], normalized * c.gamma[i] + c.beta[i], 2e-5);
        sum += static_cast<double>(dy[i]) * c.gamma[i] / static_cast<double>(c.channels);
        product +=
            static_cast<double>(dy[i]) * c.gamma[i] * normalized / static_cast<double>(c.channels);
      }
      if (p < pixels) continue;
      for (std::size_t i = 0; i < c.channels; ++i) {
        const double normalized = (x[i] - mean) * r;
        const double expected =
            r * (static_cast<double>(dy[i]) * c.gamma[i] - sum - normalized * product);
        ASSERT_NEAR(dx[(p - pixels) * c.channels + i], expected, 2e-5 * std::max(1.0, r));
        expected_gamma[i] += dy[i] * normalized;
        expected_beta[i] += dy[i];
      }
    }
    for (std::size_t i = 0; i < c.channels; ++i) {
      ASSERT_NEAR(dgamma[i], expected_gamma[i], 5e-5);
      ASSERT_NEAR(dbeta[i], expected_beta[i], 5e-5);
    }
  }
}

Halves halves_of(Floats& values) {
  Halves halves;
  for (float& v : values) {
    halves.push_back(rounded<Bf16>(v));
    v = widened(halves.back());
  }
  return halves;
}

TEST_P(KernelsLayerNormTest, Bf16IsTheFloatsNearest) {
  for (const Geometry& g : sizes()) {
    SCOPED_TRACE(text_of(g, 2));
    Case c(g);
    const Halves x = halves_of(c.x), dy = halves_of(c.dy);
    Floats expected(2 * c.n), saved(4 * static_cast<std::size_t>(g.pixels)), saved16 = saved;
    Halves found(2 * c.n);
    const Kernels& k = *GetParam();
    k.f32.layer_norm(g, 2, c.x.data(), expected.data(), c.gamma.data(), c.beta.data(), kEps,
                     saved.data());
    k.bf16.layer_norm(g, 2, x.data(), found.data(), c.gamma.data(), c.beta.data(), kEps,
                      saved16.data());
    ASSERT_EQ(saved, saved16);
    for (std::size_t i = 0; i < found.size(); ++i)
      ASSERT_EQ(found[i].bits, rounded<Bf16>(expected[i]).bits);
    Floats sums(2 * c.channels), sums16 = sums;
    k.f32.layer_norm_backward(g, c.dy.data(), c.x.data(), c.gamma.data(), saved.data(),
                              expected.data(), sums.data(), sums.data() + c.channels);
    k.bf16.layer_norm_backward(g, dy.data(), x.data(), c.gamma.data(), saved.data(), found.data(),
                               sums16.data(), sums16.data() + c.channels);
    ASSERT_EQ(sums, sums16);
    for (std::size_t i = 0; i < c.n; ++i) ASSERT_EQ(found[i].bits, rounded<Bf16>(expected[i]).bits);
  }
}

TEST_P(KernelsLayerNormTest, FactorsBackward) {
  for (const Geometry& g :
       {Geometry{17, 300, 0}, {96, 6, 0}, {600, 3, 0}, {32, 49, 16}, {24, 7, 8}}) {
    SCOPED_TRACE(text_of(g, 2));
    const std::size_t n = 2 * g.image_elements(), channels = static_cast<std::size_t>(g.channels);
    Floats x = normal(n, 9), dy = normal(n, 10), dx(n);
    const Floats factors = normal(channels, 11);
    const Halves x16 = halves_of(x), dy16 = halves_of(dy);
    Halves dx16(n);
    std::vector<double> sums(channels, 1.0), sums16 = sums, expected = sums;
    GetParam()->f32.factors_backward(g, 2, dy.data(), x.data(), factors.data(), dx.data(),
                                     sums.data());
    GetParam()->bf16.factors_backward(g, 2, dy16.data(), x16.data(), factors.data(), dx16.data(),
                                      sums16.data());
    ASSERT_EQ(sums, sums16);
    for_each_element(g, 2, [&](int, int c, int, std::size_t i) {
      ASSERT_EQ(dx[i], dy[i] * factors[static_cast<std::size_t>(c)]);
      ASSERT_EQ(dx16[i].bits, rounded<Bf16>(dx[i]).bits);
      expected[static_cast<std::size_t>(c)] += static_cast<double>(dy[i]) * x[i];
    });
    for (std::size_t c = 0; c < channels; ++c) ASSERT_NEAR(sums[c], expected[c], 1e-4);
  }
}

TEST_P(KernelsLayerNormTest, SoftmaxBackward) {
  for (std::size_t n : {1, 3, 8, 16, 19, 64, 100}) {
    constexpr std::size_t kRows = 3;
    const Floats p = normal(kRows * n, 7), dy = normal(kRows * n, 8);
    Floats dx = dy;  // in place
    GetParam()->softmax_backward(kRows, n, p.data(), dx.data(), dx.data());
    for (std::size_t row = 0; row < kRows; ++row) {
      double sum = 0;
      for (std::size_t i = row * n; i < (row + 1) * n; ++i)
        sum += static_cast<double>(p[i]) * dy[i];
      for (std::size_t i = row * n; i < (row + 1) * n; ++i)
        ASSERT_NEAR(dx[i], p[i] * (dy[i] - sum), 2e-4);
    }
  }
}

TEST_P(KernelsLayerNormTest, SumsOfPositions) {
  for (std::size_t n : {0, 1, 7, 16, 65, 130}) {
    Floats a = normal(n, 5), b = normal(n, 6);
    const Halves a16 = halves_of(a);
    Floats sum(n), total = b, total16 = b;
    Halves sum16(n);
    GetParam()->f32.add_floats(n, a.data(), b.data(), sum.data());
    GetParam()->bf16.add_floats(n, a16.data(), b.data(), sum16.data());
    GetParam()->f32.accumulate(n, a.data(), total.data());
    GetParam()->bf16.accumulate(n, a16.data(), total16.data());
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(sum[i], a[i] + b[i]);
      ASSERT_EQ(sum16[i].bits, rounded<Bf16>(a[i] + b[i]).bits);
      ASSERT_EQ(total[i], a[i] + b[i]);
      ASSERT_EQ(total16[i], a[i] + b[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(LayerNorm, KernelsLayerNormTest, testing::ValuesIn(tables_of_this_cpu()),
                         name_of);

}  // namespace
}  // namespace lockstep::cpu
