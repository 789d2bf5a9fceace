// Kernels on bfloat16 against the same ones on float32, which the other tests compare with double
// precision: they read the same numbers, compute the same in f32, and so what they store must be
// the float's nearest bfloat16, bit for bit, and what they sum must be equal.
#include "layers/cpu/bf16.h"

#include <cmath>
#include <limits>

#include "tests/layers/kernels_fixture.h"

namespace lockstep::cpu {
namespace {

class KernelsBf16Test : public KernelsTest {
 protected:
  const StoredKernels<float>& f32() const { return GetParam()->f32; }
  const StoredKernels<Bf16>& bf16() const { return GetParam()->bf16; }
};

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Floats = std::vector<float>;
using Halves = std::vector<Bf16>;

/// Numbers that bfloat16 holds, as both.
struct Both {
  Floats floats;
  Halves halves;

  explicit Both(const Floats& values) {
    for (float value : values) {
      halves.push_back(rounded<Bf16>(value));
      floats.push_back(widened(halves.back()));
    }
  }
};

bool same_bits(const Halves& found, const Floats& expected) {
  if (found.size() != expected.size()) return false;
  for (std::size_t i = 0; i < found.size(); ++i)
    if (found[i].bits != rounded<Bf16>(expected[i]).bits) return false;
  return true;
}

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }

// One in 2^8 of a float's neighbours and all special ones: what is exact, ties both ways, what
// overflows, denormals, infinities and NaNs.
TEST_P(KernelsBf16Test, RoundsToTheNearestAndOfTwoToTheEven) {
  Floats x;
  for (std::uint32_t upper = 0; upper <= 0xffff; upper += 3)
    for (std::uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      x.push_back(from_bits(upper << 16 | lower));
  Halves y(x.size());
  GetParam()->round_to_bf16(x.size(), x.data(), y.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float found = widened(y[i]);
    ASSERT_EQ(y[i].bits, rounded<Bf16>(x[i]).bits);
    ASSERT_EQ(std::isnan(found), std::isnan(x[i])) << i;
    if (std::isnan(x[i]) || std::isinf(found)) continue;
    const auto neighbour = [&](int step) {
      return static_cast<double>(
          widened(Bf16{static_cast<std::uint16_t>(y[i].bits + static_cast<unsigned>(step))}));
    };
    const double off = std::abs(static_cast<double>(found) - x[i]);
    for (int step : {-1, 1}) {
      if (((y[i].bits + static_cast<unsigned>(step)) & 0x7f80) == 0x7f80) continue;
      if ((y[i].bits & 0x7fff) == 0 && step < 0) continue;  // no smaller size
      const double other = std::abs(neighbour(step) - x[i]);
      ASSERT_TRUE(off < other || (off == other && y[i].bits % 2 == 0)) << std::hexfloat << x[i];
    }
  }
  EXPECT_EQ(widened(rounded<Bf16>(std::numeric_limits<float>::max())), kInfinity);
  EXPECT_EQ(widened(rounded<Bf16>(-kInfinity)), -kInfinity);
  EXPECT_EQ(widened(rounded<Bf16>(from_bits(0x7f7f7fff))), from_bits(0x7f7f0000));
  EXPECT_TRUE(std::isnan(widened(rounded<Bf16>(from_bits(0x7f800001)))));
  EXPECT_TRUE(std::isnan(widened(rounded<Bf16>(from_bits(0xffffffff)))));
}

TEST_P(KernelsBf16Test, RoundsEverySizeAndNothingBeyond) {
  for (std::size_t n = 0; n < 140; ++n) {
    const Floats x = normal(n, 1);
    Halves y(n + 1, Bf16{0x1234});
    GetParam()->round_to_bf16(n, x.data(), y.data());
    EXPECT_EQ(y[n].bits, 0x1234);
    y.pop_back();
    ASSERT_TRUE(same_bits(y, x)) << n;
  }
}

TEST_P(KernelsBf16Test, Elementwise) {
  for (std::size_t n : {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 1021}) {
    SCOPED_TRACE(n);
    const Both a(normal(n, 2)), b(normal(n, 3));
    Floats expected(n);
    Halves found(n);
    f32().add(n, a.floats.data(), b.floats.data(), expected.data());
    bf16().add(n, a.halves.data(), b.halves.data(), found.data());
    ASSERT_TRUE(same_bits(found, expected));
    f32().scale(n, a.floats.data(), 1.7f, expected.data());
    bf16().scale(n, a.halves.data(), 1.7f, found.data());
    ASSERT_TRUE(same_bits(found, expected));
    forward(f32(), ActivationKind::kRelu, n, a.floats.data(), expected.data());
    forward(bf16(), ActivationKind::kRelu, n, a.halves.data(), found.data());
    ASSERT_TRUE(same_bits(found, expected));
    backward(f32(), ActivationKind::kRelu, n, a.floats.data(), b.floats.data(), expected.data());
    backward(bf16(), ActivationKind::kRelu, n, a.halves.data(), b.halves.data(), found.data());
    ASSERT_TRUE(same_bits(found, expected));
    Halves in_place = a.halves;
    f32().add(n, a.floats.data(), b.floats.data(), expected.data());
    bf16().add(n, in_place.data(), b.halves.data(), in_place.data());
    ASSERT_TRUE(same_bits(in_place, expected));
  }
}

TEST_P(KernelsBf16Test, NanSurvives) {
  const std::size_t n = 85;
  for (std::size_t place = 0; place < n; ++place) {
    Floats x(n, -1);
    x[place] = kNan;
    const Both both(x);
    Halves y(n);
    forward(bf16(), ActivationKind::kRelu, n, both.halves.data(), y.data());
    ASSERT_TRUE(std::isnan(widened(y[place]))) << place;
    bf16().scale(n, both.halves.data(), 0, y.data());
    ASSERT_TRUE(std::isnan(widened(y[place]))) << place;
  }
}

TEST_P(KernelsBf16Test, ChannelSums) {
  for (const Geometry& g : geometries()) {
    for (int images : {1, 3}) {
      SCOPED_TRACE(text_of(g, images));
      const Both x(normal(images * g.image_elements(), 4, 0.5f, 2.0f));
      std::vector<double> expected(2 * g.channels, 3.0), found = expected;
      f32().channel_sums(g, images, x.floats.data(), expected.data());
      bf16().channel_sums(g, images, x.halves.data(), found.data());
      ASSERT_EQ(found, expected);
    }
  }
}

TEST_P(KernelsBf16Test, NormApply) {
  for (const Geometry& g : geometries()) {
    SCOPED_TRACE(text_of(g, 2));
    const std::size_t n = 2 * g.image_elements();
    const Both x(normal(n, 5)), residual(normal(n, 6));
    const Floats scale = normal(g.channels, 7), shift = normal(g.channels, 8);
    for (int variant = 0; variant < 4; ++variant) {
      const bool add = variant & 1, relu = variant & 2;
      Floats expected(n);
      Halves found = x.halves;  // in place
      f32().norm_apply(g, 2, x.floats.data(), add ? residual.floats.data() : nullptr,
                       expected.data(), scale.data(), shift.data(), relu);
      bf16().norm_apply(g, 2, found.data(), add ? residual.halves.data() : nullptr, found.data(),
                        scale.data(), shift.data(), relu);
      ASSERT_TRUE(same_bits(found, expected));
    }
  }
}

TEST_P(KernelsBf16Test, NormBackward) {
  for (const Geometry& g : geometries()) {
    SCOPED_TRACE(text_of(g, 2));
    const std::size_t n = 2 * g.image_elements();
    const Both dy0(normal(n, 9)), dy1(normal(n, 10)), y(normal(n, 11)), x(normal(n, 12, 2.0f));
    const Floats mean = normal(g.channels, 13, 2.0f);
    for (int variant = 0; variant < 4; ++variant) {
      const bool add = variant & 1, mask = variant & 2;
      std::vector<double> expected_sums(2 * g.channels, 0.0), sums = expected_sums;
      Floats expected(n);
      Halves found(n);
      f32().norm_backward_sums(g, 2, dy0.floats.data(), add ? dy1.floats.data() : nullptr,
                               mask ? y.floats.data() : nullptr, x.floats.data(), mean.data(),
                               expected.data(), expected_sums.data());
      bf16().norm_backward_sums(g, 2, dy0.halves.data(), add ? dy1.halves.data() : nullptr,
                                mask ? y.halves.data() : nullptr, x.halves.data(), mean.data(),
                                found.data(), sums.data());
      ASSERT_EQ(sums, expected_sums);
      ASSERT_TRUE(same_bits(found, expected));
      if (variant > 0) continue;
      std::vector<double> without(2 * g.channels, 0.0);  // g left out
      bf16().norm_backward_sums(g, 2, dy0.halves.data(), nullptr, nullptr, x.halves.data(),
                                mean.data(), nullptr, without.data());
      ASSERT_EQ(without, expected_sums);
    }
    const Floats a = normal(g.channels, 14), b = normal(g.channels, 15), k = normal(g.channels, 16);
    Floats expected(n);
    Halves found(n);
    f32().norm_backward_data(g, 2, dy0.floats.data(), x.floats.data(), expected.data(), a.data(),
                             b.data(), k.data());
    bf16().norm_backward_data(g, 2, dy0.halves.data(), x.halves.data(), found.data(), a.data(),
                              b.data(), k.data());
    ASSERT_TRUE(same_bits(found, expected));
  }
}

TEST_P(KernelsBf16Test, AveragesAndGates) {
  for (const Geometry& g : geometries()) {
    SCOPED_TRACE(text_of(g, 2));
    const std::size_t n = 2 * g.image_elements();
    const Both x(normal(n, 17)), dy(normal(n, 18));
    const Floats gate = normal(2 * g.channels, 19);
    Floats expected(n), expected_vector(gate.size()), vector(gate.size());
    Halves found(n);
    f32().global_average(g, 2, x.floats.data(), expected_vector.data());
    bf16().global_average(g, 2, x.halves.data(), vector.data());
    ASSERT_EQ(vector, expected_vector);
    f32().global_average_backward(g, 2, gate.data(), expected.data());
    bf16().global_average_backward(g, 2, gate.data(), found.data());
    ASSERT_TRUE(same_bits(found, expected));
    f32().channel_scale(g, 2, x.floats.data(), gate.data(), expected.data());
    bf16().channel_scale(g, 2, x.halves.data(), gate.data(), found.data());
    ASSERT_TRUE(same_bits(found, expected));
    f32().channel_scale_backward_data(g, 2, dy.floats.data(), gate.data(), expected.data());
    bf16().channel_scale_backward_data(g, 2, dy.halves.data(), gate.data(), found.data());
    ASSERT_TRUE(same_bits(found, expected));
    f32().channel_scale_backward_gate(g, 2, dy.floats.data(), x.floats.data(),
                                      expected_vector.data());
    bf16().channel_scale_backward_gate(g, 2, dy.halves.data(), x.halves.data(), vector.data());
    ASSERT_EQ(vector, expected_vector);
    f32().image_products(n / 2, 2, dy.floats.data(), x.floats.data(), expected_vector.data());
    bf16().image_products(n / 2, 2, dy.halves.data(), x.halves.data(), vector.data());
    ASSERT_EQ(vector, expected_vector);
  }
}

TEST_P(KernelsBf16Test, Pools) {
  for (const auto& [channels, block] : {std::pair{3, 0}, {24, 0}, {80, 0}, {16, 8}, {32, 16}}) {
    const PoolGeometry g{channels, 9, 12, block, 5, 6, 3, 2, 1};
    SCOPED_TRACE(channels);
    const std::size_t in = static_cast<std::size_t>(2 * channels) * 9 * 12;
    const std::size_t out = static_cast<std::size_t>(2 * channels) * 5 * 6;
    const Both x(normal(in, 20)), dy(normal(out, 21));
    Floats expected(out), expected_dx(in);
    Halves found(out), dx(in);
    std::vector<std::uint8_t> expected_index(out), index(out);
    f32().max_pool(g, 2, x.floats.data(), expected.data(), expected_index.data());
    bf16().max_pool(g, 2, x.halves.data(), found.data(), index.data());
    ASSERT_TRUE(same_bits(found, expected));
    ASSERT_EQ(index, expected_index);
    f32().max_pool_backward(g, 2, dy.floats.data(), index.data(), expected_dx.data());
    bf16().max_pool_backward(g, 2, dy.halves.data(), index.data(), dx.data());
    ASSERT_TRUE(same_bits(dx, expected_dx));
    f32().average_pool(g, 2, x.floats.data(), expected.data());
    bf16().average_pool(g, 2, x.halves.data(), found.data());
    ASSERT_TRUE(same_bits(found, expected));
    f32().average_pool_backward(g, 2, dy.floats.data(), expected_dx.data());
    bf16().average_pool_backward(g, 2, dy.halves.data(), dx.data());
    ASSERT_TRUE(same_bits(dx, expected_dx));
  }
}

INSTANTIATE_TEST_SUITE_P(Bf16, KernelsBf16Test, testing::ValuesIn(tables_of_this_cpu()), name_of);

}  // namespace
}  // namespace lockstep::cpu
