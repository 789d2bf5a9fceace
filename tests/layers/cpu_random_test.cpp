// Dropout and stochastic depth, kernel by kernel: how often they drop, that backward drops the
// same, and that the draw depends on seed, step, op and an image's position, not on who computes
// it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "layers/cpu/cpu_backend.h"

namespace lockstep {
namespace {

constexpr int kImages = 64;
const Shape kShape{6, 9, 7};
const std::size_t kElements = static_cast<std::size_t>(kShape.elements());

/// x = 1 everywhere -> what remains of it.
class RandomOp {
 public:
  explicit RandomOp(OpAttributes op, int ops_before = 0) : graph_(kShape) {
    ValueId x = graph_.input();
    for (int i = 0; i < ops_before; ++i)
      x = graph_.add(std::string("before").append(std::to_string(i)), Scale{1}, {x});
    graph_.add("op", op, {x});
    backend_ = std::make_unique<cpu::CpuBackend>(graph_, cpu::CpuBackendOptions{});
    id_ = ops_before;
  }

  struct Draw {
    std::int64_t step = 0;
    std::uint64_t seed = 5;
    std::int64_t first_position = 0;
    int pieces = 1;  // run() calls that the images are cut into, last one first
    bool backward = false;
    bool training = true;
    int images = kImages;
  };

  std::vector<float> run(const Draw& draw) {
    const std::size_t size = static_cast<std::size_t>(draw.images) * kElements;
    std::vector<float> from(size, 1.0f), to(size, -1.0f);
    const Role source = draw.backward ? Role::kDiffDst : Role::kSrc;
    const Role target = draw.backward ? Role::kDiffSrc : Role::kDst;
    Binding binding;
    binding.memories = {{source, memory(from)}, {target, memory(to)}};
    const Call call{.kind = draw.backward ? CallKind::kBackwardData : CallKind::kForward,
                    .op = id_,
                    .operands = {{source, 0}, {target, 1}},
                    .training = draw.training};
    const auto kernel = backend_->make_kernel(call, binding);
    std::vector<std::int64_t> positions(static_cast<std::size_t>(draw.images));
    std::iota(positions.begin(), positions.end(), draw.first_position);
    const StepContext context{
        .step = draw.step, .seed = draw.seed, .positions = positions, .images = draw.images};
    for (int p = draw.pieces - 1; p >= 0; --p) {
      const auto [begin, end] = lane_images(draw.images, draw.pieces, p);
      kernel->prepare(end - begin);
      kernel->run(context, Lane{.index = 0, .begin = begin, .end = end}, Range{begin, end, begin});
    }
    return to;
  }

 private:
  static Memory memory(std::vector<float>& values) {
    return {.base = reinterpret_cast<std::byte*>(values.data()),
            .image_bytes = kElements * sizeof(float),
            .bytes = values.size() * sizeof(float)};
  }

  Graph graph_;
  std::unique_ptr<cpu::CpuBackend> backend_;
  OpId id_ = 0;
};

/// All values are 0 or 1/keep, and as many are kept as chance lets expect: within four standard
/// deviations of `draws` independent draws.
void expect_kept(const std::vector<float>& values, float keep, std::size_t draws) {
  std::size_t kept = 0;
  for (float v : values) {
    EXPECT_TRUE(v == 0 || std::abs(v * keep - 1) < 1e-6f) << v;
    kept += v != 0;
  }
  const double fraction = static_cast<double>(kept) / static_cast<double>(values.size());
  const double k = static_cast<double>(keep);
  EXPECT_NEAR(fraction, k, 4 * std::sqrt(k * (1 - k) / static_cast<double>(draws)));
}

class RandomOps : public testing::TestWithParam<OpAttributes> {};

TEST_P(RandomOps, BackwardDropsWhatForwardDropped) {
  RandomOp op(GetParam());
  EXPECT_EQ(op.run({.step = 3}), op.run({.step = 3, .backward = true}));
}

TEST_P(RandomOps, DrawsByPositionHoweverTheImagesAreCut) {
  RandomOp op(GetParam());
  const std::vector<float> all = op.run({.first_position = 100});
  EXPECT_EQ(all, op.run({.first_position = 100, .pieces = 5}));
  const std::vector<float> part = op.run({.first_position = 117, .images = 9});
  EXPECT_TRUE(std::equal(part.begin(), part.end(),
                         all.begin() + static_cast<std::ptrdiff_t>(17 * kElements)));
}

TEST_P(RandomOps, DrawsAnewForEveryStepSeedOpAndPosition) {
  RandomOp op(GetParam()), later(GetParam(), 2);
  const std::vector<float> first = op.run({});
  EXPECT_EQ(first, op.run({}));
  EXPECT_NE(first, op.run({.step = 1}));
  EXPECT_NE(first, op.run({.seed = 6}));
  EXPECT_NE(first, op.run({.first_position = kImages}));
  EXPECT_NE(first, later.run({}));
}

INSTANTIATE_TEST_SUITE_P(Kinds, RandomOps,
                         testing::Values(OpAttributes(Dropout{0.3f}), OpAttributes(Dropout{0.9f}),
                                         OpAttributes(StochasticDepth{0.8f}),
                                         OpAttributes(StochasticDepth{0.25f})),
                         [](const auto& test) {
                           return kind_name(test.param) + std::to_string(test.index);
                         });

TEST(DropoutKernel, DropsAsOftenAsAsked) {
  for (float probability : {0.1f, 0.5f, 0.9f}) {
    RandomOp op(Dropout{probability});
    expect_kept(op.run({}), 1 - probability, kImages * kElements);
    // The same place of an image is not always dropped, nor are neighbours together.
    const std::vector<float> values = op.run({.step = 1});
    std::vector<float> first_pixels;
    std::size_t both = 0;
    for (std::size_t i = 0; i < values.size(); i += kElements) first_pixels.push_back(values[i]);
    for (std::size_t i = 1; i < values.size(); ++i) both += values[i] != 0 && values[i - 1] != 0;
    expect_kept(first_pixels, 1 - probability, kImages);
    const double keep = 1 - static_cast<double>(probability);
    EXPECT_NEAR(static_cast<double>(both) / static_cast<double>(values.size()), keep * keep, 0.02);
  }
}

/// One draw for all images of a step, wherever they are; 0 or 1, and in evaluation the mean.
TEST(BranchGateKernel, OpensOrClosesForAWholeStep) {
  RandomOp op(BranchGate{0.7f}), later(BranchGate{0.7f}, 2);
  std::vector<float> gates, of_later, of_seed;
  for (std::int64_t step = 0; step < 100; ++step) {
    const std::vector<float> values = op.run({.step = step, .images = 2});
    EXPECT_TRUE(std::ranges::all_of(values, [&](float v) { return v == values[0]; }));
    EXPECT_EQ(
        values,
        op.run({.step = step, .first_position = 30, .pieces = 2, .backward = true, .images = 2}));
    gates.push_back(values[0]);
    of_later.push_back(later.run({.step = step, .images = 1})[0]);
    of_seed.push_back(op.run({.step = step, .seed = 6, .images = 1})[0]);
  }
  EXPECT_TRUE(std::ranges::all_of(gates, [](float v) { return v == 0 || v == 1; }));
  EXPECT_NEAR(static_cast<double>(std::ranges::count(gates, 1.0f)) / 100, 0.7,
              4 * std::sqrt(0.7 * 0.3 / 100));
  EXPECT_NE(gates, of_later);
  EXPECT_NE(gates, of_seed);
  const std::vector<float> evaluated = op.run({.training = false});
  EXPECT_TRUE(std::ranges::all_of(evaluated, [](float v) { return v == 0.7f; }));
}

TEST(StochasticDepthKernel, DropsWholeImages) {
  RandomOp op(StochasticDepth{0.7f});
  std::vector<float> firsts;
  for (std::int64_t step = 0; step < 20; ++step) {
    const std::vector<float> values = op.run({.step = step});
    for (std::size_t n = 0; n < kImages; ++n) {
      const auto image = values.begin() + static_cast<std::ptrdiff_t>(n * kElements);
      firsts.push_back(*image);
      EXPECT_TRUE(std::all_of(image, image + static_cast<std::ptrdiff_t>(kElements),
                              [&](float v) { return v == *image; }));
    }
  }
  expect_kept(firsts, 0.7f, firsts.size());
}

}  // namespace
}  // namespace lockstep
