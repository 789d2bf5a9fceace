#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/layers/kernels_fixture.h"

namespace lockstep::cpu {
namespace {

class KernelsNormTest : public KernelsTest {};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST_P(KernelsNormTest, ChannelSumsAreAddedToWhatIsThere) {
  for (const Geometry& g : geometries()) {
    for (int images : {1, 3}) {
      SCOPED_TRACE(text_of(g, images));
      const std::vector<float> x = normal(images * g.image_elements(), 1, 0.5f, 2.0f);
      std::vector<double> expected(2 * g.channels, 3.0), sums(2 * g.channels, 3.0);
      std::vector<double> sizes(2 * g.channels, 1.0);
      for_each_element(g, images, [&](int, int c, int, std::size_t i) {
        const double value = x[i], square = value * value;
        expected[c] += value;
        expected[g.channels + c] += square;
        sizes[c] += std::abs(value);
        sizes[g.channels + c] += square;
      });
      GetParam()->f32.channel_sums(g, images, x.data(), sums.data());
      for (int i = 0; i < 2 * g.channels; ++i) ASSERT_NEAR(sums[i], expected[i], 3e-6 * sizes[i]);
    }
  }
}

TEST_P(KernelsNormTest, VarianceSurvivesAMeanThousandTimesTheDeviation) {
  for (const Geometry& g : {Geometry{16, 3000, 16}, {16, 3000, 8}, {24, 3000, 0}, {10, 64, 0}}) {
    SCOPED_TRACE(text_of(g, 3));
    const std::vector<float> x = normal(3 * g.image_elements(), 2, 1000.0f, 1.0f);
    std::vector<double> sums(2 * g.channels, 0.0);
    GetParam()->f32.channel_sums(g, 3, x.data(), sums.data());
    const double count = 3.0 * g.pixels;
    for (int c = 0; c < g.channels; ++c) {
      double mean = 0, variance = 0;
      for (int n = 0; n < 3; ++n) {
        for (int p = 0; p < g.pixels; ++p) mean += x[at(g, n, c, p)] / count;
      }
      for (int n = 0; n < 3; ++n) {
        for (int p = 0; p < g.pixels; ++p) {
          variance += std::pow(x[at(g, n, c, p)] - mean, 2) / count;
        }
      }
      const double found = sums[c] / count;
      ASSERT_NEAR(found, mean, 1e-6);
      ASSERT_NEAR(sums[g.channels + c] / count - found * found, variance, 1e-5 * variance);
    }
  }
}

TEST_P(KernelsNormTest, ApplyWithAndWithoutResidualAndRelu) {
  for (const Geometry& g : geometries()) {
    for (int images : {1, 3}) {
      SCOPED_TRACE(text_of(g, images));
      const std::size_t n = images * g.image_elements();
      const std::vector<float> x = normal(n, 3), residual = normal(n, 4);
      const std::vector<float> scale = normal(g.channels, 5), shift = normal(g.channels, 6);
      for (int variant = 0; variant < 4; ++variant) {
        const bool add = variant & 1, relu = variant & 2;
        std::vector<float> y = x;  // in place
        GetParam()->f32.norm_apply(g, images, y.data(), add ? residual.data() : nullptr, y.data(),
                                   scale.data(), shift.data(), relu);
        for_each_element(g, images, [&](int, int c, int, std::size_t i) {
          double expected = double(x[i]) * scale[c] + shift[c] + (add ? residual[i] : 0.0f);
          if (relu) expected = std::max(0.0, expected);
          ASSERT_NEAR(y[i], expected, 3e-6);
        });
      }
    }
  }
}

TEST_P(KernelsNormTest, NanSurvivesApply) {
  const Geometry g = {29, 7, 0};  // every width of strip
  const std::vector<float> scale(29, 1.0f), shift(29, 0.0f), residual(g.image_elements(), -1.0f);
  for (std::size_t i = 0; i < g.image_elements(); ++i) {
    std::vector<float> x(g.image_elements(), -1.0f), y(x.size());
    x[i] = kNan;
    GetParam()->f32.norm_apply(g, 1, x.data(), residual.data(), y.data(), scale.data(),
                               shift.data(), true);
    ASSERT_TRUE(std::isnan(y[i])) << i;
    std::vector<double> sums(58, 0.0);
    GetParam()->f32.channel_sums(g, 1, x.data(), sums.data());
    ASSERT_TRUE(std::isnan(sums[i % 29])) << i;
    ASSERT_TRUE(std::isnan(sums[29 + i % 29])) << i;
  }
}

TEST_P(KernelsNormTest, BackwardSumsOfEveryCombination) {
  for (const Geometry& g : geometries()) {
    const int images = g.pixels == 64 ? 3 : 1;
    SCOPED_TRACE(text_of(g, images));
    const std::size_t n = images * g.image_elements();
    const std::vector<float> dy0 = normal(n, 7), dy1 = normal(n, 8), y = normal(n, 9);
    const std::vector<float> x = normal(n, 10, 2.0f), mean = normal(g.channels, 11, 2.0f);
    for (int variant = 0; variant < 4; ++variant) {
      const bool add = variant & 1, mask = variant & 2;
      std::vector<double> expected(2 * g.channels, 0.0), sizes(2 * g.channels, 1.0);
      std::vector<float> expected_g(n);
      for_each_element(g, images, [&](int, int c, int, std::size_t i) {
        const float value = dy0[i] + (add ? dy1[i] : 0.0f);
        expected_g[i] = mask && !(y[i] > 0) ? 0 : value;
        const double product = double(expected_g[i]) * (double(x[i]) - mean[c]);
        expected[c] += expected_g[i];
        expected[g.channels + c] += product;
        sizes[c] += std::abs(expected_g[i]);
        sizes[g.channels + c] += std::abs(product);
      });
      std::vector<float> masked = dy0;  // in place
      std::vector<double> sums(2 * g.channels, 0.0);
      GetParam()->f32.norm_backward_sums(g, images, masked.data(), add ? dy1.data() : nullptr,
                                         mask ? y.data() : nullptr, x.data(), mean.data(),
                                         masked.data(), sums.data());
      ASSERT_EQ(masked, expected_g);
      for (int i = 0; i < 2 * g.channels; ++i) ASSERT_NEAR(sums[i], expected[i], 3e-6 * sizes[i]);
      if (variant == 0) {  // g left out, and g elsewhere: the same sums
        std::vector<double> without(2 * g.channels, 0.0), elsewhere(2 * g.channels, 0.0);
        std::vector<float> copy(n);
        GetParam()->f32.norm_backward_sums(g, images, dy0.data(), nullptr, nullptr, x.data(),
                                           mean.data(), nullptr, without.data());
        GetParam()->f32.norm_backward_sums(g, images, dy0.data(), nullptr, nullptr, x.data(),
                                           mean.data(), copy.data(), elsewhere.data());
        ASSERT_EQ(without, sums);
        ASSERT_EQ(elsewhere, sums);
        ASSERT_EQ(copy, dy0);
      }
    }
  }
}

TEST_P(KernelsNormTest, BackwardData) {
  for (const Geometry& g : geometries()) {
    for (int images : {1, 3}) {
      SCOPED_TRACE(text_of(g, images));
      const std::size_t n = images * g.image_elements();
      const std::vector<float> gradient = normal(n, 12), x = normal(n, 13);
      const std::vector<float> a = normal(g.channels, 14), b = normal(g.channels, 15),
                               k = normal(g.channels, 16);
      std::vector<float> dx = gradient;  // in place
      GetParam()->f32.norm_backward_data(g, images, dx.data(), x.data(), dx.data(), a.data(),
                                         b.data(), k.data());
      for_each_element(g, images, [&](int, int c, int, std::size_t i) {
        ASSERT_NEAR(dx[i], double(a[c]) * gradient[i] + double(b[c]) * x[i] + k[c], 4e-6);
      });
    }
  }
}

// Chunks of images may not show in the activations' bits.
TEST_P(KernelsNormTest, AnImageHasTheSameBitsAloneAndAmongOthers) {
  for (const Geometry& g : geometries()) {
    SCOPED_TRACE(text_of(g, 3));
    const std::size_t image = g.image_elements();
    const std::vector<float> x = normal(3 * image, 17), gradient = normal(3 * image, 18);
    const std::vector<float> a = normal(g.channels, 19), b = normal(g.channels, 20);
    std::vector<float> whole(3 * image), cut(3 * image), dx(3 * image), dx_cut(3 * image);
    GetParam()->f32.norm_apply(g, 3, x.data(), gradient.data(), whole.data(), a.data(), b.data(),
                               true);
    GetParam()->f32.norm_backward_data(g, 3, gradient.data(), x.data(), dx.data(), a.data(),
                                       b.data(), a.data());
    for (std::size_t i = 0; i < 3; ++i) {
      GetParam()->f32.norm_apply(g, 1, x.data() + i * image, gradient.data() + i * image,
                                 cut.data() + i * image, a.data(), b.data(), true);
      GetParam()->f32.norm_backward_data(g, 1, gradient.data() + i * image, x.data() + i * image,
                                         dx_cut.data() + i * image, a.data(), b.data(), a.data());
    }
    ASSERT_EQ(whole, cut);
    ASSERT_EQ(dx, dx_cut);
  }
}

TEST_P(KernelsNormTest, GlobalAverageAndItsBackward) {
  for (const Geometry& g : geometries()) {
    for (int images : {1, 3}) {
      SCOPED_TRACE(text_of(g, images));
      const std::vector<float> x = normal(images * g.image_elements(), 21);
      std::vector<double> expected(images * g.channels, 0.0);
      for_each_element(g, images, [&](int n, int c, int, std::size_t i) {
        expected[n * g.channels + c] += double(x[i]) / g.pixels;
      });
      std::vector<float> y(images * g.channels, kNan), dx(x.size(), kNan);
      GetParam()->f32.global_average(g, images, x.data(), y.data());
      for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-6);
      GetParam()->f32.global_average_backward(g, images, y.data(), dx.data());
      for_each_element(g, images, [&](int n, int c, int, std::size_t i) {
        ASSERT_EQ(dx[i], y[n * g.channels + c] / static_cast<float>(g.pixels));
      });
    }
  }
}

TEST_P(KernelsNormTest, ChannelScaleAndItsBackward) {
  for (const Geometry& g : geometries()) {
    for (int images : {1, 3}) {
      SCOPED_TRACE(text_of(g, images));
      const std::vector<float> x = normal(images * g.image_elements(), 22);
      const std::vector<float> dy = normal(x.size(), 23);
      const std::vector<float> gate = normal(images * g.channels, 24);
      std::vector<float> y(x.size()), dx(x.size()), dgate(gate.size(), kNan);
      GetParam()->f32.channel_scale(g, images, x.data(), gate.data(), y.data());
      GetParam()->f32.channel_scale_backward_data(g, images, dy.data(), gate.data(), dx.data());
      GetParam()->f32.channel_scale_backward_gate(g, images, dy.data(), x.data(), dgate.data());
      std::vector<double> expected(gate.size(), 0.0), sizes(gate.size(), 1.0);
      for_each_element(g, images, [&](int n, int c, int, std::size_t i) {
        const std::size_t of_image = n * g.channels + c;
        ASSERT_EQ(y[i], x[i] * gate[of_image]);
        ASSERT_EQ(dx[i], dy[i] * gate[of_image]);
        expected[of_image] += double(dy[i]) * x[i];
        sizes[of_image] += std::abs(double(dy[i]) * x[i]);
      });
      for (std::size_t i = 0; i < gate.size(); ++i) {
        ASSERT_NEAR(dgate[i], expected[i], 3e-6 * sizes[i]);
      }
    }
  }
}

TEST_P(KernelsNormTest, ImageProducts) {
  for (const std::size_t n : {1u, 15u, 16u, 17u, 48u, 1000u, 16u * 1025 + 3}) {
    SCOPED_TRACE(n);
    const std::size_t images = 3;
    const std::vector<float> a = normal(images * n, 25), b = normal(images * n, 26);
    std::vector<float> sums(images, kNan);
    GetParam()->f32.image_products(n, 3, a.data(), b.data(), sums.data());
    for (std::size_t i = 0; i < images; ++i) {
      double expected = 0, size = 1;
      for (std::size_t at = i * n; at < (i + 1) * n; ++at) {
        expected += double(a[at]) * b[at];
        size += std::abs(double(a[at]) * b[at]);
      }
      ASSERT_NEAR(sums[i], expected, 3e-6 * size);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Norm, KernelsNormTest, testing::ValuesIn(tables_of_this_cpu()), name_of);

}  // namespace
}  // namespace lockstep::cpu
