// Activations with exponentials and gated skips, per instruction set, against double precision.
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "layers/cpu/bf16.h"
#include "tests/layers/kernels_fixture.h"

namespace lockstep::cpu {
namespace {

class KernelsActivationTest : public KernelsTest {
 protected:
  const StoredKernels<float>& f32() const { return GetParam()->f32; }
  const StoredKernels<Bf16>& bf16() const { return GetParam()->bf16; }
};

using Floats = std::vector<float>;
using Halves = std::vector<Bf16>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const std::vector<std::size_t> kSizes{0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 1021};

double below(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
double gelu_slope(double x) { return below(x) + x * density(x); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

/// From -20 to 20, and what is far out.
Floats inputs() {
  Floats x;
  for (int i = -20000; i <= 20000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
  for (float far : {30.0f, 87.0f, 89.0f, 1e4f, 1e30f}) {
    x.push_back(far);
    x.push_back(-far);
  }
  return x;
}

void expect_near(const Floats& x, const Floats& y, const std::function<double(double)>& wanted) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double exact = wanted(x[i]);
    ASSERT_NEAR(y[i], exact, 3e-7 * std::max(1.0, std::abs(exact))) << "at " << x[i];
  }
}

TEST_P(KernelsActivationTest, GeluAndItsSlope) {
  const Floats x = inputs();
  Floats y(x.size());
  forward(f32(), ActivationKind::kGelu, x.size(), x.data(), y.data());
  expect_near(x, y, [](double v) { return v * below(v); });
  const Floats ones(x.size(), 1.0f);
  backward(f32(), ActivationKind::kGelu, x.size(), ones.data(), x.data(), y.data());
  expect_near(x, y, [](double v) { return std::abs(v) > 1e10 ? below(v) : gelu_slope(v); });
}

TEST_P(KernelsActivationTest, SigmoidAndItsSlope) {
  const Floats x = inputs();
  Floats y(x.size()), dx(x.size());
  forward(f32(), ActivationKind::kSigmoid, x.size(), x.data(), y.data());
  expect_near(x, y, logistic);
  const Floats ones(x.size(), 1.0f);
  backward(f32(), ActivationKind::kSigmoid, x.size(), ones.data(), y.data(), dx.data());
  expect_near(x, dx, [](double v) { return logistic(v) * logistic(-v); });
}

TEST_P(KernelsActivationTest, KeepNanAndInfinity) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Floats x(19, nan), far{-kInfinity, kInfinity};
  Floats y(x.size(), 0.0f);
  for (const ActivationRow& row : kActivations) {
    SCOPED_TRACE(row.word);
    forward(f32(), row.kind, x.size(), x.data(), y.data());
    for (float v : y) EXPECT_TRUE(std::isnan(v));
  }
  forward(f32(), ActivationKind::kSigmoid, far.size(), far.data(), y.data());
  EXPECT_NEAR(y[0], 0, 1e-30);
  EXPECT_EQ(y[1], 1);
}

TEST_P(KernelsActivationTest, Lerp) {
  for (std::size_t n : kSizes) {
    const Floats start = normal(n, 1), end = normal(n, 2), weight = normal(n, 3), dy = normal(n, 4);
    Floats dst(n), dstart(n), dend(n), dweight(n);
    f32().lerp(n, start.data(), end.data(), weight.data(), dst.data());
    f32().lerp_backward(n, dy.data(), start.data(), end.data(), weight.data(), dstart.data(),
                        dend.data(), dweight.data());
    for (std::size_t i = 0; i < n; ++i) {
      const double apart = static_cast<double>(end[i]) - start[i], w = weight[i];
      ASSERT_NEAR(dst[i], start[i] + w * apart, 4e-6);
      ASSERT_NEAR(dstart[i], dy[i] * (1 - w), 4e-6);
      ASSERT_NEAR(dend[i], dy[i] * w, 4e-6);
      ASSERT_NEAR(dweight[i], dy[i] * apart, 4e-6);
    }
  }
}

/// Numbers that bfloat16 holds, as both.
struct Both {
  Floats floats;
  Halves halves;

  Both(std::size_t n, unsigned seed) {
    for (float value : normal(n, seed)) {
      halves.push_back(rounded<Bf16>(value));
      floats.push_back(widened(halves.back()));
    }
  }
};

void expect_rounded(const Halves& found, const Floats& expected) {
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_EQ(found[i].bits, rounded<Bf16>(expected[i]).bits) << i << " of " << found.size();
}

TEST_P(KernelsActivationTest, Bf16IsTheFloatsNearest) {
  for (std::size_t n : kSizes) {
    const Both a(n, 5), b(n, 6), c(n, 7), d(n, 8);
    Floats expected(n), expected2(n), expected3(n);
    Halves found(n), found2(n), found3(n);
    for (const ActivationKernels<float>& exact : f32().activations) {
      const auto kind = &exact - f32().activations;
      SCOPED_TRACE(kActivations[kind].word);
      exact.forward(n, 0.5f, a.floats.data(), expected.data());
      bf16().activations[kind].forward(n, 0.5f, a.halves.data(), found.data());
      expect_rounded(found, expected);
      exact.backward(n, 0.5f, a.floats.data(), b.floats.data(), expected.data());
      bf16().activations[kind].backward(n, 0.5f, a.halves.data(), b.halves.data(), found.data());
      expect_rounded(found, expected);
    }
    f32().lerp(n, a.floats.data(), b.floats.data(), c.floats.data(), expected.data());
    bf16().lerp(n, a.halves.data(), b.halves.data(), c.halves.data(), found.data());
    expect_rounded(found, expected);
    f32().lerp_backward(n, a.floats.data(), b.floats.data(), c.floats.data(), d.floats.data(),
                        expected.data(), expected2.data(), expected3.data());
    bf16().lerp_backward(n, a.halves.data(), b.halves.data(), c.halves.data(), d.halves.data(),
                         found.data(), found2.data(), found3.data());
    expect_rounded(found, expected);
    expect_rounded(found2, expected2);
    expect_rounded(found3, expected3);
  }
}

INSTANTIATE_TEST_SUITE_P(Activation, KernelsActivationTest, testing::ValuesIn(tables_of_this_cpu()),
                         name_of);

}  // namespace
}  // namespace lockstep::cpu
