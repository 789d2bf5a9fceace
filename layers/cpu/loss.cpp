#include <algorithm>
#include <cmath>

#include "layers/cpu/kernel_factories.h"
#include "layers/loss.h"

namespace lockstep::cpu {

namespace {

/// kForward: cross entropy of softmax(logits) against (1 - s)*onehot + s/classes; in training also
/// the logits' gradient, divided by the images of the global step.
class SoftmaxLoss : public Kernel {
 public:
  SoftmaxLoss(const CallSite& site, int classes)
      : classes_(classes),
        smoothing_(std::get<SoftmaxCrossEntropy>(site.op.attributes).label_smoothing),
        logits_(site.binding[Role::kSrc]),
        lane_sums_(site.binding[Role::kLaneSums]),
        training_(site.binding.has(Role::kDiffSrc)) {
    if (training_) diff_ = site.binding[Role::kDiffSrc];
  }

  void run(const StepContext& context, const Lane& lane, const Range& range) override {
    auto* sums = lane_sums_.of_lane<double>(lane.index);
    if (range.first == lane.begin) std::fill_n(sums, kLossSums, 0.0);
    for (Range image = range; image.first < range.last; ++image.first) {
      const float* z = logits_.at(lane, image);
      const int label = context.labels[image.first];
      const auto [maximum, log_sum] = log_sum_exp(z);
      sums[0] += loss(z, label, maximum + log_sum);
      count_correct(z, label, sums);
      sums[3] += 1;
      if (training_)
        gradient(z, label, maximum + log_sum, context.loss_divisor, diff_.at(lane, image));
    }
  }

 private:
  std::pair<double, double> log_sum_exp(const float* z) const {
    const double maximum = *std::max_element(z, z + classes_);
    double sum = 0;
    for (int c = 0; c < classes_; ++c) sum += std::exp(z[c] - maximum);
    return {maximum, std::log(sum)};
  }

  double loss(const float* z, int label, double log_total) const {
    const double s = smoothing_;
    double all = 0;
    if (s > 0)
      for (int c = 0; c < classes_; ++c) all += log_total - z[c];
    return (1 - s) * (log_total - z[label]) + s * all / classes_;
  }

  void gradient(const float* z, int label, double log_total, double divisor, float* diff) const {
    const double base = static_cast<double>(smoothing_) / classes_;
    for (int c = 0; c < classes_; ++c) {
      const double target = base + (c == label ? 1.0 - static_cast<double>(smoothing_) : 0.0);
      diff[c] = static_cast<float>((std::exp(z[c] - log_total) - target) / divisor);
    }
  }

  /// Ties go to the smaller class, as an argmax does; a NaN is never correct.
  void count_correct(const float* z, int label, double* sums) const {
    if (std::isnan(z[label])) return;
    int better = 0;
    for (int c = 0; c < classes_; ++c) {
      if (std::isnan(z[c])) return;
      better += z[c] > z[label] || (z[c] == z[label] && c < label);
    }
    sums[1] += better < 1;
    sums[2] += better < 5;
  }

  int classes_;
  float smoothing_;
  Memory logits_, lane_sums_, diff_;
  bool training_;
};

class CombineLoss : public Kernel {
 public:
  CombineLoss(const Binding& b, int count)
      : lanes_(b.lanes),
        count_(count),
        lane_sums_(b[Role::kLaneSums]),
        sums_(b[Role::kSums].of_lane<double>()) {}

  void run(const StepContext& context, const Lane&, const Range&) override {
    if (context.first_micro_batch) std::fill_n(sums_, count_, 0.0);
    for (int l = 0; l < lanes_; ++l) {
      const auto [begin, end] = lane_images(context.images, lanes_, l);
      if (begin == end) continue;
      for (int i = 0; i < count_; ++i) sums_[i] += lane_sums_.of_lane<double>(l)[i];
    }
  }

 private:
  int lanes_, count_;
  Memory lane_sums_;
  double* sums_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const SoftmaxCrossEntropy&, const CallSite& site) {
  if (site.call.kind != CallKind::kForward) return make_combine_loss_kernel(site);
  return std::make_unique<SoftmaxLoss>(site, site.shape(site.op.inputs[0]).channels);
}

std::unique_ptr<Kernel> make_combine_loss_kernel(const CallSite& site) {
  if (site.call.kind != CallKind::kCombineLoss) site.no_kernel();
  return std::make_unique<CombineLoss>(site.binding, loss_sum_count(site.graph, site.op));
}

}  // namespace lockstep::cpu
