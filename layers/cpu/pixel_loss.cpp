#include <algorithm>
#include <cmath>

#include "layers/cpu/kernel_factories.h"
#include "layers/loss.h"

namespace lockstep::cpu {

namespace {

/// kForward of a loss over pixels, logits [H,W,classes]: cross entropy of softmax(logits) against
/// (1 - s)*onehot + s/classes; in training also the logits' gradient, divided by all pixels of the
/// global step. Pixels with a negative label have no loss and no gradient.
class PixelLoss : public Kernel {
 public:
  explicit PixelLoss(const CallSite& site)
      : classes_(site.shape(site.op.inputs[0]).channels),
        pixels_(site.shape(site.op.inputs[0]).pixels()),
        smoothing_(
            static_cast<double>(std::get<PixelCrossEntropy>(site.op.attributes).label_smoothing)),
        logits_(site.binding[Role::kSrc]),
        lane_sums_(site.binding[Role::kLaneSums]),
        training_(site.binding.has(Role::kDiffSrc)) {
    if (training_) diff_ = site.binding[Role::kDiffSrc];
  }

  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(classes_) * sizeof(float);
  }

  void run(const StepContext& context, const Lane& lane, const Range& range) override {
    auto* sums = lane_sums_.of_lane<double>(lane.index);
    if (range.first == lane.begin) std::fill_n(sums, kLossSums + 3 * classes_, 0.0);
    auto* powers = reinterpret_cast<float*>(lane.scratch);
    for (Range image = range; image.first < range.last; ++image.first) {
      const std::int32_t* labels =
          context.labels + static_cast<std::ptrdiff_t>(image.first) * pixels_;
      const float* z = logits_.at(lane, image);
      float* diff = training_ ? diff_.at(lane, image) : nullptr;
      for (int p = 0; p < pixels_; ++p, z += classes_) {
        if (labels[p] >= 0) {
          const double total = pixel(z, labels[p], powers, sums);
          if (diff) gradient(powers, labels[p], total, context.loss_divisor * pixels_, diff);
        } else if (diff) {
          std::fill_n(diff, classes_, 0.0f);
        }
        if (diff) diff += classes_;
      }
    }
  }

 private:
  /// Adds to the sums. powers[c] = exp(z[c] - maximum); returns their sum.
  double pixel(const float* z, int label, float* powers, double* sums) const {
    const auto best = static_cast<int>(std::max_element(z, z + classes_) - z);
    double total = 0, all = 0;
    for (int c = 0; c < classes_; ++c) {
      powers[c] = std::exp(z[c] - z[best]);
      total += static_cast<double>(powers[c]);
    }
    const double log_total = static_cast<double>(z[best]) + std::log(total);
    if (smoothing_ > 0)
      for (int c = 0; c < classes_; ++c) all += log_total - static_cast<double>(z[c]);
    sums[0] += (1 - smoothing_) * (log_total - static_cast<double>(z[label])) +
               smoothing_ * all / classes_;
    sums[3] += 1;
    double* of_class = sums + kLossSums;
    of_class[3 * label + 1] += 1;
    if (std::isnan(total)) return total;  // predicts nothing
    of_class[3 * best + 2] += 1;
    if (best == label) {
      sums[1] += 1;
      of_class[3 * label] += 1;
    }
    return total;
  }

  void gradient(const float* powers, int label, double total, double divisor, float* diff) const {
    const double base = smoothing_ / classes_;
    for (int c = 0; c < classes_; ++c) {
      const double target = base + (c == label ? 1 - smoothing_ : 0);
      diff[c] = static_cast<float>((static_cast<double>(powers[c]) / total - target) / divisor);
    }
  }

  int classes_, pixels_;
  double smoothing_;
  Memory logits_, lane_sums_, diff_;
  bool training_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const PixelCrossEntropy&, const CallSite& site) {
  if (site.call.kind != CallKind::kForward) return make_combine_loss_kernel(site);
  return std::make_unique<PixelLoss>(site);
}

}  // namespace lockstep::cpu
