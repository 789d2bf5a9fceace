// A gate of every image, as its kernel draws it.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "layers/branch_draws.h"
#include "layers/cpu/cpu_backend.h"

namespace lockstep {
namespace {

/// The gate behind another op, so that it is not op 0, and reads `odds`, one an image.
class ImageGateKernel : public testing::Test {
 protected:
  struct Draw {
    std::int64_t step = 0;
    std::uint64_t seed = 5;
    std::int64_t first_position = 0;
    int pieces = 1;  // run() calls that the images are cut into, last one first
    bool training = true;
    double divisor = 1;
  };

  void SetUp() override {
    const ValueId odds = graph_.add("odds", Scale{1}, {graph_.input()});
    graph_.add("gate", ImageGate{.rate = 0.75f, .rate_weight = 0.5f}, {odds});
    backend_ = std::make_unique<cpu::CpuBackend>(graph_, cpu::CpuBackendOptions{});
  }

  std::vector<float> forward(std::vector<float> odds, const Draw& draw) {
    std::vector<float> gates(odds.size(), -1.0f);
    run(draw, CallKind::kForward, {{Role::kSrc, &odds}, {Role::kDst, &gates}});
    return gates;
  }
  std::vector<float> backward(std::vector<float> odds, std::vector<float> diff, const Draw& draw) {
    std::vector<float> found(odds.size(), -1.0f);
    run(draw, CallKind::kBackwardData,
        {{Role::kDiffDst, &diff}, {Role::kSrc, &odds}, {Role::kDiffSrc, &found}});
    return found;
  }

 private:
  void run(const Draw& draw, CallKind kind,
           const std::vector<std::pair<Role, std::vector<float>*>>& buffers) {
    Binding binding;
    Call call{.kind = kind, .op = 1, .training = draw.training};
    for (const auto& [role, values] : buffers) {
      call.operands.push_back({role, static_cast<BufferId>(call.operands.size())});
      binding.memories.push_back({role,
                                  {.base = reinterpret_cast<std::byte*>(values->data()),
                                   .image_bytes = sizeof(float),
                                   .bytes = values->size() * sizeof(float)}});
    }
    const int images = static_cast<int>(buffers[0].second->size());
    const auto kernel = backend_->make_kernel(call, binding);
    std::vector<std::int64_t> positions(static_cast<std::size_t>(images));
    std::iota(positions.begin(), positions.end(), draw.first_position);
    const StepContext context{.step = draw.step,
                              .seed = draw.seed,
                              .loss_divisor = draw.divisor,
                              .positions = positions,
                              .images = images};
    for (int p = draw.pieces - 1; p >= 0; --p) {
      const auto [begin, end] = lane_images(images, draw.pieces, p);
      kernel->prepare(end - begin);
      kernel->run(context, Lane{.index = 0, .begin = begin, .end = end}, Range{begin, end, begin});
    }
  }

  Graph graph_{{1, 1, 1}};
  std::unique_ptr<cpu::CpuBackend> backend_;
};

TEST_F(ImageGateKernel, OpensAsOftenAsItsOddsSay) {
  constexpr int kImages = 4000;
  for (const float odds : {-3.0f, -0.5f, 0.0f, 1.7f}) {
    const std::vector<float> gates = forward(std::vector<float>(kImages, odds), {});
    const double p = 1 / (1 + std::exp(-static_cast<double>(odds)));
    EXPECT_NEAR(std::accumulate(gates.begin(), gates.end(), 0.0) / kImages, p,
                4 * std::sqrt(p * (1 - p) / kImages));
    for (const float gate : gates) EXPECT_TRUE(gate == 0 || gate == 1);
  }
}

TEST_F(ImageGateKernel, DrawsAnewForEveryStepSeedAndPositionHoweverTheImagesAreCut) {
  const std::vector<float> odds(64, 0.0f);
  const std::vector<float> first = forward(odds, {.first_position = 100});
  EXPECT_EQ(first, forward(odds, {.first_position = 100, .pieces = 5}));
  EXPECT_NE(first, forward(odds, {.step = 1, .first_position = 100}));
  EXPECT_NE(first, forward(odds, {.seed = 6, .first_position = 100}));
  EXPECT_NE(first, forward(odds, {.first_position = 164}));
  const std::vector<float> part = forward(std::vector<float>(9, 0.0f), {.first_position = 117});
  EXPECT_TRUE(std::equal(part.begin(), part.end(), first.begin() + 17));
}

TEST_F(ImageGateKernel, EvaluationTakesTheLikelier) {
  const float nan = std::nanf("");
  const std::vector<float> gates = forward({-1, -1e-6f, 0, 1e-6f, 9, nan}, {.training = false});
  EXPECT_EQ(std::vector<float>(gates.begin(), gates.end() - 1),
            (std::vector<float>{0, 0, 0, 1, 1}));
  EXPECT_TRUE(std::isnan(gates.back()));  // a diverged model must show
  EXPECT_TRUE(std::isnan(forward({nan}, {})[0]));
}

/// With the slope of the very draw that forward made, and the share's own gradient, over the images of
/// the global step.
TEST_F(ImageGateKernel, BackwardIsStraightThrough) {
  const std::vector<float> odds{-2, -0.25f, 0, 0.5f, 1, 40, -40}, diff{1, -1, 2, 0, 0.5f, 1, 1};
  const Draw draw{.step = 3, .first_position = 7, .divisor = 16};
  const std::vector<float> found = backward(odds, diff, draw), gates = forward(odds, draw);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (std::size_t n = 0; n < odds.size(); ++n) {
    const double noise = gate_noise(1, random_key(draw.seed, RandomUse::kImageGate), draw.step,
                                    draw.first_position + static_cast<std::int64_t>(n));
    const double soft = sigmoid(odds[n] + noise), p = sigmoid(odds[n]);
    EXPECT_EQ(gates[n], soft > 0.5 ? 1 : 0);
    EXPECT_NEAR(found[n], diff[n] * soft * (1 - soft) + 2 * 0.5 * (p - 0.75) * p * (1 - p) / 16,
                1e-7);
  }
}

}  // namespace
}  // namespace lockstep
