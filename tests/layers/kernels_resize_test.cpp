#include <cmath>

#include "tests/layers/kernels_fixture.h"
#include "tests/reference/upsampling.h"

namespace lockstep::cpu {
namespace {

class KernelsResizeTest : public KernelsTest {};

struct Case {
  int channels, block, height, width, factor;

  PoolGeometry geometry() const {
    return {.channels = channels,
            .height = height,
            .width = width,
            .block = block,
            .out_height = factor * height,
            .out_width = factor * width,
            .stride = factor};
  }
  Geometry small() const { return {channels, height * width, block}; }
  Geometry large() const { return {channels, height * width * factor * factor, block}; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int factor : {1, 2, 3, 4})
    for (const auto& [channels, block] : {std::pair{1, 0}, std::pair{5, 0}, std::pair{24, 0},
                                          std::pair{83, 0}, std::pair{16, 8}, std::pair{32, 16}})
      for (const auto& [height, width] : {std::pair{1, 1}, std::pair{4, 3}, std::pair{2, 7}})
        all.push_back({channels, block, height, width, factor});
  return all;
}

/// [N,C,H,W] of what lies in a geometry's order.
reference::Tensor plain(const Geometry& g, int images, int height, int width,
                        const std::vector<float>& values) {
  reference::Tensor t = reference::make_tensor({images, g.channels, height, width});
  for_each_element(g, images, [&](int n, int c, int p, std::size_t at) {
    t.at(n, c, p / width, p % width) = values[at];
  });
  return t;
}

TEST_P(KernelsResizeTest, EqualsTheTwin) {
  constexpr int kImages = 2;
  for (const Case& k : cases()) {
    SCOPED_TRACE(text_of(k.small(), kImages) + ", factor " + std::to_string(k.factor));
    const std::vector<float> x = normal(kImages * k.small().image_elements(), 1);
    const std::vector<float> dy = normal(kImages * k.large().image_elements(), 2);
    std::vector<float> y(dy.size(), NAN), dx(x.size(), NAN);
    GetParam()->f32.upsample(k.geometry(), kImages, x.data(), y.data());
    GetParam()->f32.upsample_backward(k.geometry(), kImages, dy.data(), dx.data());
    const auto small = plain(k.small(), kImages, k.height, k.width, x);
    const auto twin = reference::upsample(small, k.factor);
    const int height = k.factor * k.height, width = k.factor * k.width;
    for_each_element(k.large(), kImages, [&](int n, int c, int p, std::size_t at) {
      ASSERT_NEAR(y[at], twin.at(n, c, p / width, p % width), 2e-6);
    });
    const auto back = reference::upsample_backward(
        small.dims, plain(k.large(), kImages, height, width, dy), k.factor);
    for_each_element(k.small(), kImages, [&](int n, int c, int p, std::size_t at) {
      ASSERT_NEAR(dx[at], back.at(n, c, p / k.width, p % k.width), 1e-5);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, KernelsResizeTest, testing::ValuesIn(tables_of_this_cpu()),
                         name_of);

}  // namespace
}  // namespace lockstep::cpu
