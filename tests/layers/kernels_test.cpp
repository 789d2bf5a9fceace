#include "layers/cpu/kernels.h"

#include <cmath>
#include <limits>
#include <thread>

#include "data/error.h"
#include "tests/layers/kernels_fixture.h"
#include "tests/reference/adamw.h"

namespace lockstep::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Sizes around every vector width, and around what is unrolled.
const std::size_t kSizes[] = {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 200, 1021};

TEST(KernelsChoice, LimitAllowsNoMoreThanItSays) {
  EXPECT_STREQ(kernels_for("baseline").name, "baseline");
  EXPECT_NE(std::string(kernels_for("avx2").name), "avx512");
  EXPECT_EQ(&kernels_for("avx512"), &kernels_for(nullptr));
}

TEST(KernelsChoice, UnknownInstructionSetIsAnErrorThatNamesTheChoices) {
  try {
    kernels_for("sse9");
    FAIL() << "sse9 was accepted";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("sse9"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("avx2"), std::string::npos);
  }
  EXPECT_THROW(kernels_for(""), ConfigError);
}

TEST(KernelsChoice, TheTableInUseIsTheBestUntilAnotherIsSet) {
  EXPECT_EQ(&kernels(), &kernels_for(nullptr));
  use_kernels(kernels_for("baseline"));
  EXPECT_STREQ(kernels().name, "baseline");
  use_kernels(kernels_for(nullptr));
  EXPECT_EQ(&kernels(), &kernels_for(nullptr));
}

TEST(FlushDenormals, InTheCallingThread) {
  volatile float smallest = std::numeric_limits<float>::min();
  volatile float denormal = std::numeric_limits<float>::denorm_min();
  float halved = 1, kept = 1;
  std::thread([&] {
    kept = smallest * 0.5f;
    flush_denormals();
    halved = smallest * 0.5f;    // flush to zero: results
    halved += denormal * 1e30f;  // denormals are zero: operands
  }).join();
  EXPECT_GT(kept, 0.0f);
  EXPECT_EQ(halved, 0.0f);
}

TEST_P(KernelsTest, AddAccumulateAndScaleOfEverySize) {
  const Kernels& k = *GetParam();
  for (std::size_t n : kSizes) {
    SCOPED_TRACE(n);
    const std::vector<float> a = normal(n + 1, 1), b = normal(n + 1, 2);
    std::vector<float> sum(n + 1, -7), total = b, scaled(n + 1, -7);
    k.f32.add(n, a.data(), b.data(), sum.data());
    k.accumulate(n, a.data(), total.data());
    k.f32.scale(n, a.data(), 1.7f, scaled.data());
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(sum[i], a[i] + b[i]);
      ASSERT_EQ(total[i], b[i] + a[i]);
      ASSERT_EQ(scaled[i], 1.7f * a[i]);
    }
    EXPECT_EQ(sum[n], -7);  // nothing beyond the end
    EXPECT_EQ(total[n], b[n]);
    EXPECT_EQ(scaled[n], -7);
  }
}

TEST_P(KernelsTest, ReluAndItsBackwardInPlaceToo) {
  const Kernels& k = *GetParam();
  for (std::size_t n : kSizes) {
    SCOPED_TRACE(n);
    std::vector<float> x = normal(n, 3);
    if (n > 4) x[4] = 0;
    const std::vector<float> dy = normal(n, 4);
    std::vector<float> y = x, dx(n);
    forward(k.f32, ActivationKind::kRelu, n, y.data(), y.data());
    backward(k.f32, ActivationKind::kRelu, n, dy.data(), y.data(), dx.data());
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(y[i], x[i] > 0 ? x[i] : 0);
      ASSERT_EQ(dx[i], x[i] > 0 ? dy[i] : 0);
    }
  }
}

TEST_P(KernelsTest, NanSurvivesElementwise) {
  const Kernels& k = *GetParam();
  const std::size_t n = 85;
  for (std::size_t place = 0; place < n; ++place) {
    std::vector<float> x(n, -1), y(n);
    x[place] = kNan;
    forward(k.f32, ActivationKind::kRelu, n, x.data(), y.data());
    ASSERT_TRUE(std::isnan(y[place])) << place;
    ASSERT_TRUE(std::isnan(k.sum_of_squares(n, x.data()))) << place;
    k.f32.scale(n, x.data(), 0, y.data());
    ASSERT_TRUE(std::isnan(y[place])) << place;
  }
}

TEST_P(KernelsTest, SumOfSquaresNeitherOverflowsNorVanishes) {
  const Kernels& k = *GetParam();
  for (std::size_t n : {0, 1, 5, 31, 32, 100, 4097, 65536}) {
    for (float size : {1.0f, 1e-30f, 1e30f}) {
      const std::vector<float> x = normal(n, 5, 0, size);
      double expected = 0;
      for (float value : x) expected += static_cast<double>(value) * value;
      EXPECT_NEAR(k.sum_of_squares(n, x.data()), expected, 1e-12 * expected) << n << " " << size;
    }
  }
}

TEST_P(KernelsTest, SgdFollowsTheDoubleLoopForThreeSteps) {
  const Kernels& k = *GetParam();
  for (bool nesterov : {false, true}) {
    for (std::size_t n : kSizes) {
      SCOPED_TRACE(n);
      const SgdOptions o = {0.1f, 0.9f, 5e-2f, 0.25f, nesterov};
      std::vector<float> w = normal(n, 6), v(n, 0.0f);
      std::vector<double> w64(w.begin(), w.end()), v64(n, 0.0);
      for (unsigned step = 0; step < 3; ++step) {
        const std::vector<float> g = normal(n, 7 + step);
        k.sgd(n, o, g.data(), v.data(), w.data());
        for (std::size_t i = 0; i < n; ++i) {
          const double gradient = g[i] * double(o.gradient_scale) + o.weight_decay * w64[i];
          v64[i] = o.momentum * v64[i] + gradient;
          w64[i] -= o.learning_rate * (nesterov ? gradient + o.momentum * v64[i] : v64[i]);
        }
      }
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_NEAR(w[i], w64[i], 2e-6);
        ASSERT_NEAR(v[i], v64[i], 2e-6);
      }
    }
  }
}

// How a parameter is sharded may not show in its bits: a vector's tail computes as its body does.
TEST_P(KernelsTest, SgdGivesAnElementTheSameBitsWhereverItLies) {
  const Kernels& k = *GetParam();
  const std::size_t n = 1021;
  for (bool nesterov : {false, true}) {
    const SgdOptions o = {0.1f, 0.9f, 5e-4f, 0.3f, nesterov};
    const std::vector<float> g = normal(n, 11), v = normal(n, 12), w = normal(n, 13);
    std::vector<float> v_whole = v, w_whole = w, v_cut = v, w_cut = w;
    k.sgd(n, o, g.data(), v_whole.data(), w_whole.data());
    for (std::size_t i = 0, count = 1; i < n; i += count, count = count % 23 + 1) {
      count = std::min(count, n - i);
      k.sgd(count, o, g.data() + i, v_cut.data() + i, w_cut.data() + i);
    }
    EXPECT_EQ(v_whole, v_cut);
    EXPECT_EQ(w_whole, w_cut);
  }
}

AdamWOptions adamw_options(double rate, int t) {
  const double b1 = 0.9, b2 = 0.999;
  return {.kept = static_cast<float>(1 - rate * 0.05),
          .rest1 = static_cast<float>(1 - b1),
          .beta2 = static_cast<float>(b2),
          .rest2 = static_cast<float>(1 - b2),
          .step_size = static_cast<float>(rate / (1 - std::pow(b1, t))),
          .inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(b2, t))),
          .eps = 1e-8f,
          .gradient_scale = 0.25f};
}

TEST_P(KernelsTest, AdamWFollowsItsTwinForFiveSteps) {
  const Kernels& k = *GetParam();
  for (std::size_t n : kSizes) {
    SCOPED_TRACE(n);
    const std::int64_t count = static_cast<std::int64_t>(n);
    std::vector<float> w = normal(n, 6), m(n, 0.0f), v(n, 0.0f);
    reference::Tensor w64{{count}, {w.begin(), w.end()}}, m64 = reference::make_tensor({count}),
                                                          v64 = m64;
    for (int t = 1; t <= 5; ++t) {
      const std::vector<float> g = normal(n, 7 + static_cast<unsigned>(t));
      reference::Tensor scaled{{count}, {g.begin(), g.end()}};
      for (double& value : scaled.values) value *= 0.25;
      k.adamw(n, adamw_options(0.01, t), g.data(), m.data(), v.data(), w.data());
      reference::adamw_update(w64, m64, v64, scaled, t, {0.01, 0.9, 0.999, 1e-8, 0.05});
    }
    for (std::size_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::int64_t>(i);
      ASSERT_NEAR(w[i], w64[at], 2e-6);
      ASSERT_NEAR(m[i], m64[at], 2e-7);
      ASSERT_NEAR(v[i], v64[at], 1e-6 * v64[at]);
    }
  }
}

TEST_P(KernelsTest, AdamWGivesAnElementTheSameBitsWhereverItLies) {
  const Kernels& k = *GetParam();
  const std::size_t n = 1021;
  const AdamWOptions o = adamw_options(0.1, 3);
  std::vector<float> v = normal(n, 14);
  for (float& value : v) value *= value;
  const std::vector<float> g = normal(n, 11), m = normal(n, 12), w = normal(n, 13);
  std::vector<float> m_whole = m, v_whole = v, w_whole = w, m_cut = m, v_cut = v, w_cut = w;
  k.adamw(n, o, g.data(), m_whole.data(), v_whole.data(), w_whole.data());
  for (std::size_t i = 0, count = 1; i < n; i += count, count = count % 23 + 1) {
    count = std::min(count, n - i);
    k.adamw(count, o, g.data() + i, m_cut.data() + i, v_cut.data() + i, w_cut.data() + i);
  }
  EXPECT_EQ(m_whole, m_cut);
  EXPECT_EQ(v_whole, v_cut);
  EXPECT_EQ(w_whole, w_cut);
}

INSTANTIATE_TEST_SUITE_P(Elementwise, KernelsTest, testing::ValuesIn(tables_of_this_cpu()),
                         name_of);

}  // namespace
}  // namespace lockstep::cpu
