#include <cmath>
#include <limits>

#include "tests/layers/kernels_fixture.h"

namespace lockstep::cpu {
namespace {

class KernelsPoolTest : public KernelsTest {};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

PoolGeometry pool(int channels, int block, int height, int width, int kernel, int stride,
                  int padding, bool ceil_mode) {
  const auto out = [&](int size) {
    const int room = size + 2 * padding - kernel;
    const int count = (ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
    return ceil_mode && (count - 1) * stride >= size + padding ? count - 1 : count;
  };
  return {channels, height, width, block, out(height), out(width), kernel, stride, padding};
}

std::vector<PoolGeometry> pools() {
  std::vector<PoolGeometry> all;
  for (auto [channels, block] : {std::pair{1, 0}, {3, 0}, {24, 0}, {80, 0}, {16, 8}, {32, 16}}) {
    all.push_back(pool(channels, block, 14, 10, 3, 2, 1, false));
    all.push_back(pool(channels, block, 9, 12, 3, 2, 0, true));  // windows beyond the edge
    all.push_back(pool(channels, block, 7, 7, 3, 1, 1, false));  // overlap on all sides
    all.push_back(pool(channels, block, 8, 6, 2, 2, 0, false));  // none
    all.push_back(pool(channels, block, 11, 5, 2, 3, 1, true));  // gaps between windows
    all.push_back(pool(channels, block, 6, 6, 5, 2, 2, false));
    all.push_back(pool(channels, block, 4, 4, 4, 4, 0, false));  // one window
  }
  return all;
}

Geometry input_of(const PoolGeometry& g) { return {g.channels, g.height * g.width, g.block}; }
Geometry output_of(const PoolGeometry& g) {
  return {g.channels, g.out_height * g.out_width, g.block};
}

std::string text_of(const PoolGeometry& g) {
  return text_of(input_of(g), 2) + ", kernel " + std::to_string(g.kernel) + ", stride " +
         std::to_string(g.stride) + ", padding " + std::to_string(g.padding);
}

/// Calls f(tap, offset in the input) for the window of output pixel `p`, inside the image.
template <class F>
void for_each_tap(const PoolGeometry& g, int n, int c, int p, const F& f) {
  for (int tap = 0; tap < g.kernel * g.kernel; ++tap) {
    const int h = p / g.out_width * g.stride - g.padding + tap / g.kernel;
    const int w = p % g.out_width * g.stride - g.padding + tap % g.kernel;
    if (h < 0 || w < 0 || h >= g.height || w >= g.width) continue;
    f(tap, at(input_of(g), n, c, h * g.width + w));
  }
}

/// Small whole numbers: many ties.
std::vector<float> with_ties(std::size_t n, unsigned seed) {
  std::vector<float> values = normal(n, seed, 0, 2);
  for (float& value : values) value = std::round(value);
  return values;
}

TEST_P(KernelsPoolTest, MaxTakesTheFirstOfEqualsAndItsBackwardGoesThere) {
  for (const PoolGeometry& g : pools()) {
    SCOPED_TRACE(text_of(g));
    const Geometry in = input_of(g), out = output_of(g);
    const std::vector<float> x = with_ties(2 * in.image_elements(), 1);
    const std::vector<float> dy = normal(2 * out.image_elements(), 2);
    std::vector<float> y(dy.size(), kNan), dx(x.size(), kNan);
    std::vector<std::uint8_t> index(y.size(), 255);
    GetParam()->f32.max_pool(g, 2, x.data(), y.data(), index.data());
    GetParam()->f32.max_pool_backward(g, 2, dy.data(), index.data(), dx.data());
    std::vector<double> expected_dx(x.size(), 0.0);
    for_each_element(out, 2, [&](int n, int c, int p, std::size_t o) {
      int first = -1;
      std::size_t from = 0;
      for_each_tap(g, n, c, p, [&](int tap, std::size_t i) {
        if (first >= 0 && !(x[i] > x[from])) return;
        first = tap;
        from = i;
      });
      ASSERT_EQ(y[o], x[from]);
      ASSERT_EQ(index[o], first);
      expected_dx[from] += dy[o];
    });
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(dx[i], expected_dx[i], 1e-6);
  }
}

TEST_P(KernelsPoolTest, MaxOfMinusInfinityAndOfNan) {
  const PoolGeometry g = pool(29, 0, 5, 5, 3, 2, 1, false);
  const Geometry in = input_of(g), out = output_of(g);
  std::vector<float> x(in.image_elements(), -std::numeric_limits<float>::infinity());
  std::vector<float> y(out.image_elements(), 0.0f);
  std::vector<std::uint8_t> index(y.size(), 255);
  GetParam()->f32.max_pool(g, 1, x.data(), y.data(), index.data());
  for_each_element(out, 1, [&](int, int, int p, std::size_t o) {
    const int row = p / 3 == 0 ? 1 : 0, column = p % 3 == 0 ? 1 : 0;  // the first inside the image
    ASSERT_EQ(y[o], x[0]);
    ASSERT_EQ(index[o], row * 3 + column);
  });
  for (int p = 0; p < in.pixels; ++p) {
    std::fill(x.begin(), x.end(), 1.0f);
    for (int c = 0; c < g.channels; ++c) x[at(in, 0, c, p)] = kNan;
    GetParam()->f32.max_pool(g, 1, x.data(), y.data(), index.data());
    for_each_element(out, 1, [&](int, int c, int q, std::size_t o) {
      bool nan = false;
      for_each_tap(g, 0, c, q, [&](int, std::size_t i) { nan |= std::isnan(x[i]); });
      ASSERT_EQ(std::isnan(y[o]), nan);
    });
  }
}

TEST_P(KernelsPoolTest, AverageLeavesPaddingOut) {
  for (const PoolGeometry& g : pools()) {
    SCOPED_TRACE(text_of(g));
    const Geometry in = input_of(g), out = output_of(g);
    const std::vector<float> x = normal(2 * in.image_elements(), 3);
    const std::vector<float> dy = normal(2 * out.image_elements(), 4);
    std::vector<float> y(dy.size(), kNan), dx(x.size(), kNan);
    GetParam()->f32.average_pool(g, 2, x.data(), y.data());
    GetParam()->f32.average_pool_backward(g, 2, dy.data(), dx.data());
    std::vector<double> expected_dx(x.size(), 0.0);
    for_each_element(out, 2, [&](int n, int c, int p, std::size_t o) {
      double sum = 0;
      int count = 0;
      for_each_tap(g, n, c, p, [&](int, std::size_t i) { sum += x[i], ++count; });
      ASSERT_NEAR(y[o], sum / count, 1e-6);
      for_each_tap(g, n, c, p,
                   [&](int, std::size_t i) { expected_dx[i] += double(dy[o]) / count; });
    });
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(dx[i], expected_dx[i], 2e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Pool, KernelsPoolTest, testing::ValuesIn(tables_of_this_cpu()), name_of);

}  // namespace
}  // namespace lockstep::cpu
