#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/layers/kernels_fixture.h"
#include "tests/reference/convolution.h"

namespace lockstep::cpu {
namespace {

using reference::Tensor;

class WinogradTest : public KernelsTest {
 protected:
  const Kernels& k = *GetParam();
};

/// Whole tiles, tiles that stick out by every remainder, and more tiles than are done at a time.
std::vector<WinogradGeometry> winograd_geometries(int width) {
  std::vector<WinogradGeometry> all;
  for (const auto& [in, out] : {std::pair{16, 16}, {32, 48}, {48, 16}})
    for (const auto& [height, width_] :
         {std::pair{8, 8}, {4, 4}, {7, 14}, {13, 6}, {1, 3}, {20, 24}})
      for (int block : {0, 8, 16})
        if (block % width == 0) all.push_back({in, out, height, width_, block});
  return all;
}

std::size_t scratch_floats(const WinogradGeometry& g) {
  return kWinogradProducts *
         (kWinogradTiles * static_cast<std::size_t>(g.in_channels + g.out_channels) +
          3 * kWinogradGap + g.weights());
}

/// What lies in scratch, and in results before they are written, must not matter.
std::vector<float> garbage(std::size_t n) {
  return std::vector<float>(n, std::numeric_limits<float>::quiet_NaN());
}

Geometry tensor(const WinogradGeometry& g, int channels) {
  return {channels, g.height * g.width, g.block};
}

Tensor plain(const WinogradGeometry& g, int channels, int images, const std::vector<float>& x) {
  Tensor t = reference::make_tensor({images, channels, g.height, g.width});
  const Geometry geometry = tensor(g, channels);
  std::size_t i = 0;
  for_each_element(geometry, images,
                   [&](int, int, int, std::size_t offset) { t.values[i++] = x[offset]; });
  return t;
}

Tensor weights_tensor(const WinogradGeometry& g, const std::vector<float>& w) {
  Tensor t = reference::make_tensor({g.out_channels, g.in_channels, 3, 3});
  for (std::size_t i = 0; i < w.size(); ++i) t.values[i] = w[i];
  return t;
}

std::string text_of(const WinogradGeometry& g) {
  return std::to_string(g.in_channels) + " -> " + std::to_string(g.out_channels) + " channels, " +
         std::to_string(g.height) + "x" + std::to_string(g.width) + ", block " +
         std::to_string(g.block);
}

/// Single results may cancel to nearly nothing, so errors are judged together.
double relative_l2(const Tensor& found, const Tensor& expected) {
  double off = 0, all = 0;
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    off += std::pow(found.values[i] - expected.values[i], 2);
    all += std::pow(expected.values[i], 2);
  }
  return std::sqrt(off / all);
}

constexpr int kImages = 3;
constexpr double kTolerance = 2e-6;  // found: 3e-7 to 9e-7

TEST_P(WinogradTest, ConvolvesAsTheTwin) {
  for (const WinogradGeometry& g : winograd_geometries(k.width)) {
    SCOPED_TRACE(text_of(g));
    const Geometry in = tensor(g, g.in_channels), out = tensor(g, g.out_channels);
    const auto src = normal(kImages * in.image_elements(), 1);
    const auto weights = normal(9 * g.weights(), 2);
    auto transformed = garbage(kWinogradProducts * (g.weights() + kWinogradGap));
    auto scratch = garbage(scratch_floats(g));
    auto dst = garbage(kImages * out.image_elements());
    k.winograd_weights(g, false, weights.data(), transformed.data());
    k.winograd_convolve(g, kImages, src.data(), transformed.data(), dst.data(), scratch.data());
    const Tensor expected =
        reference::conv2d(plain(g, g.in_channels, kImages, src), weights_tensor(g, weights), {},
                          {.stride = 1, .padding = 1});
    EXPECT_LT(relative_l2(plain(g, g.out_channels, kImages, dst), expected), kTolerance);
  }
}

TEST_P(WinogradTest, GradientsAreThoseOfTheTwin) {
  for (const WinogradGeometry& g : winograd_geometries(k.width)) {
    SCOPED_TRACE(text_of(g));
    const Geometry in = tensor(g, g.in_channels), out = tensor(g, g.out_channels);
    const auto src = normal(kImages * in.image_elements(), 1);
    const auto weights = normal(9 * g.weights(), 2);
    const auto diff_dst = normal(kImages * out.image_elements(), 3);
    const auto expected = reference::conv2d_backward(
        plain(g, g.in_channels, kImages, src), weights_tensor(g, weights),
        plain(g, g.out_channels, kImages, diff_dst), {.stride = 1, .padding = 1});

    WinogradGeometry back = g;
    std::swap(back.in_channels, back.out_channels);
    auto transformed = garbage(kWinogradProducts * (g.weights() + kWinogradGap));
    auto scratch = garbage(scratch_floats(g));
    auto diff_src = garbage(kImages * in.image_elements());
    k.winograd_weights(back, true, weights.data(), transformed.data());
    k.winograd_convolve(back, kImages, diff_dst.data(), transformed.data(), diff_src.data(),
                        scratch.data());
    EXPECT_LT(relative_l2(plain(g, g.in_channels, kImages, diff_src), expected.src), kTolerance);

    // In two pieces, the second added to the first.
    auto gradient = garbage(9 * g.weights());
    k.winograd_weight_gradient(g, 1, src.data(), diff_dst.data(), gradient.data(), false,
                               scratch.data());
    k.winograd_weight_gradient(g, kImages - 1, src.data() + in.image_elements(),
                               diff_dst.data() + out.image_elements(), gradient.data(), true,
                               scratch.data());
    Tensor found = reference::make_tensor({g.out_channels, g.in_channels, 3, 3});
    for (int o = 0; o < g.out_channels; ++o)
      for (int i = 0; i < g.in_channels; ++i)
        for (int tap = 0; tap < 9; ++tap)
          found.values[static_cast<std::size_t>((o * g.in_channels + i) * 9 + tap)] =
              gradient[static_cast<std::size_t>((tap * g.in_channels + i) * g.out_channels + o)];
    EXPECT_LT(relative_l2(found, expected.weight), kTolerance);
  }
}

// Chunks and lanes cut a batch anywhere: an image's result must not depend on its neighbours.
TEST_P(WinogradTest, AnImageAloneGivesTheSameBits) {
  const WinogradGeometry g{16, 32, 20, 12, 0};  // 15 tiles an image: blocks end inside images
  const Geometry in = tensor(g, g.in_channels), out = tensor(g, g.out_channels);
  constexpr int kMany = 7;
  const auto src = normal(kMany * in.image_elements(), 1);
  const auto weights = normal(9 * g.weights(), 2);
  auto transformed = garbage(kWinogradProducts * (g.weights() + kWinogradGap));
  auto scratch = garbage(scratch_floats(g));
  auto together = garbage(kMany * out.image_elements()), alone = together;
  k.winograd_weights(g, false, weights.data(), transformed.data());
  k.winograd_convolve(g, kMany, src.data(), transformed.data(), together.data(), scratch.data());
  for (std::size_t n = 0; n < kMany; ++n)
    k.winograd_convolve(g, 1, src.data() + n * in.image_elements(), transformed.data(),
                        alone.data() + n * out.image_elements(), scratch.data());
  EXPECT_EQ(together, alone);
}

TEST_P(WinogradTest, NaNIsNotHidden) {
  const WinogradGeometry g{16, 16, 8, 8, 0};
  std::vector<float> src(16 * 64, 1.0f), weights(9 * 256, 1.0f), dst(src.size(), 0.0f);
  src[0] = std::numeric_limits<float>::quiet_NaN();
  auto transformed = garbage(kWinogradProducts * (g.weights() + kWinogradGap));
  auto scratch = garbage(scratch_floats(g));
  k.winograd_weights(g, false, weights.data(), transformed.data());
  k.winograd_convolve(g, 1, src.data(), transformed.data(), dst.data(), scratch.data());
  EXPECT_NE(dst[0], dst[0]);
}

INSTANTIATE_TEST_SUITE_P(Tables, WinogradTest, testing::ValuesIn(tables_of_this_cpu()), name_of);

}  // namespace
}  // namespace lockstep::cpu
