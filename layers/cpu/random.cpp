#include <algorithm>
#include <cmath>

#include "data/random.h"
#include "layers/branch_draws.h"
#include "layers/cpu/bf16.h"
#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

/// Random bits of four elements, keyed by (seed, step, op, sample position, index / 4): the same in
/// forward, backward and replay, on any rank.
PhiloxCounter draw(const PhiloxKey& key, const StepContext& context, OpId op, int image,
                   std::uint32_t block) {
  const auto position =
      static_cast<std::uint32_t>(context.positions[static_cast<std::size_t>(image)]);
  return philox(
      {block, position, static_cast<std::uint32_t>(op), static_cast<std::uint32_t>(context.step)},
      key);
}

/// Forward and backward are the same map: x -> x * mask / (1 - p).
template <class T>
class DropoutKernel : public Kernel {
 public:
  explicit DropoutKernel(const CallSite& site)
      : op_(site.op_id),
        probability_(std::get<Dropout>(site.op.attributes).probability),
        elements_(static_cast<std::size_t>(site.shape(site.op.output).elements())),
        from_(site.binding[site.call.kind == CallKind::kForward ? Role::kSrc : Role::kDiffDst]),
        to_(site.binding[site.call.kind == CallKind::kForward ? Role::kDst : Role::kDiffSrc]) {}

  void run(const StepContext& context, const Lane& lane, const Range& range) override {
    const PhiloxKey key = random_key(context.seed, RandomUse::kDropout);
    const float keep_scale = 1.0f / (1.0f - probability_);
    for (Range image = range; image.first < range.last; ++image.first) {
      const T* from = from_.at<T>(lane, image);
      T* to = to_.at<T>(lane, image);
      for (std::size_t i = 0; i < elements_; i += 4) {
        const auto bits = draw(key, context, op_, image.first, static_cast<std::uint32_t>(i / 4));
        const std::size_t n = std::min<std::size_t>(4, elements_ - i);
        for (std::size_t j = 0; j < n; ++j)
          to[i + j] = rounded<T>(
              uniform_float(bits[j]) < probability_ ? 0.0f : widened(from[i + j]) * keep_scale);
      }
    }
  }

 private:
  OpId op_;
  float probability_;
  std::size_t elements_;
  Memory from_, to_;
};

/// x -> x * b / keep with b drawn per image; the same map backward.
template <class T>
class StochasticDepthKernel : public Kernel {
 public:
  explicit StochasticDepthKernel(const CallSite& site)
      : op_(site.op_id),
        depth_(std::get<StochasticDepth>(site.op.attributes)),
        elements_(static_cast<std::size_t>(site.shape(site.op.output).elements())),
        from_(site.binding[site.call.kind == CallKind::kForward ? Role::kSrc : Role::kDiffDst]),
        to_(site.binding[site.call.kind == CallKind::kForward ? Role::kDst : Role::kDiffSrc]) {}

  void run(const StepContext& context, const Lane& lane, const Range& range) override {
    const PhiloxKey key = random_key(context.seed, RandomUse::kStochasticDepth);
    for (Range image = range; image.first < range.last; ++image.first) {
      const std::int64_t position = context.positions[static_cast<std::size_t>(image.first)];
      const bool kept = keeps_branch(depth_.keep, op_, key, context.step, position);
      stored_kernels<T>().scale(elements_, from_.at<T>(lane, image),
                                kept ? 1.0f / depth_.keep : 0.0f, to_.at<T>(lane, image));
    }
  }

 private:
  OpId op_;
  StochasticDepth depth_;
  std::size_t elements_;
  Memory from_, to_;
};

/// x -> x * b with b = 0 or 1 drawn once a step, in evaluation its mean; the same map backward.
template <class T>
class BranchGateKernel : public Kernel {
 public:
  explicit BranchGateKernel(const CallSite& site)
      : op_(site.op_id),
        gate_(std::get<BranchGate>(site.op.attributes)),
        draws_(site.call.training),
        elements_(static_cast<std::size_t>(site.shape(site.op.output).elements())),
        from_(site.binding[site.call.kind == CallKind::kForward ? Role::kSrc : Role::kDiffDst]),
        to_(site.binding[site.call.kind == CallKind::kForward ? Role::kDst : Role::kDiffSrc]) {}

  void run(const StepContext& context, const Lane& lane, const Range& range) override {
    const auto images = static_cast<std::size_t>(range.last - range.first);
    stored_kernels<T>().scale(images * elements_, from_.at<T>(lane, range), gate(context),
                              to_.at<T>(lane, range));
  }

 private:
  float gate(const StepContext& context) const {
    return draws_ ? branch_gate(gate_.keep, op_, context.seed, context.step) : gate_.keep;
  }

  OpId op_;
  BranchGate gate_;
  bool draws_;
  std::size_t elements_;
  Memory from_, to_;
};

/// 1 or 0 for every image, and the slope of its soft decision. In double: it is one number an image.
class ImageGateKernel : public Kernel {
 public:
  explicit ImageGateKernel(const CallSite& site)
      : op_(site.op_id),
        gate_(std::get<ImageGate>(site.op.attributes)),
        forward_(site.is_forward()),
        draws_(site.call.training),
        src_(site.binding[Role::kSrc]),
        to_(site.binding[forward_ ? Role::kDst : Role::kDiffSrc]) {
    if (!forward_) diff_dst_ = site.binding[Role::kDiffDst];
  }

  void run(const StepContext& context, const Lane& lane, const Range& range) override {
    const PhiloxKey key = random_key(context.seed, RandomUse::kImageGate);
    for (Range image = range; image.first < range.last; ++image.first) {
      const std::int64_t position = context.positions[static_cast<std::size_t>(image.first)];
      const double odds = static_cast<double>(*src_.at(lane, image));
      const double drawn = draws_ ? odds + gate_noise(op_, key, context.step, position) : odds;
      float* to = to_.at(lane, image);
      if (forward_)
        *to = drawn > 0 ? 1.0f : drawn <= 0 ? 0.0f : static_cast<float>(drawn);  // NaN must show
      else
        *to = gradient(*diff_dst_.at(lane, image), odds, drawn, context.loss_divisor);
    }
  }

 private:
  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

  float gradient(float diff, double odds, double drawn, double divisor) const {
    const double soft = sigmoid(drawn), open = sigmoid(odds);
    const double rate_gradient = 2 * static_cast<double>(gate_.rate_weight) *
                                 (open - static_cast<double>(gate_.rate)) * open * (1 - open);
    return static_cast<float>(static_cast<double>(diff) * soft * (1 - soft) +
                              rate_gradient / divisor);
  }

  OpId op_;
  ImageGate gate_;
  bool forward_, draws_;
  Memory src_, to_, diff_dst_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Dropout&, const CallSite& site) {
  site.require_pass();
  return make_stored<DropoutKernel>(site.storage(site.op.output), site);
}

std::unique_ptr<Kernel> make_kernel(const StochasticDepth&, const CallSite& site) {
  site.require_pass();
  return make_stored<StochasticDepthKernel>(site.storage(site.op.output), site);
}

std::unique_ptr<Kernel> make_kernel(const BranchGate&, const CallSite& site) {
  site.require_pass();
  return make_stored<BranchGateKernel>(site.storage(site.op.output), site);
}

std::unique_ptr<Kernel> make_kernel(const ImageGate&, const CallSite& site) {
  return std::make_unique<ImageGateKernel>(site);
}

}  // namespace lockstep::cpu
