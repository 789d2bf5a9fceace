#include <algorithm>
#include <cmath>

#include "layers/cpu/kernel_factories.h"
#include "layers/layout.h"

namespace lockstep::cpu {

namespace {

// Buffers of one batch norm, C channels:
//   lane sums    double [lanes][2C]   sum x, sum x^2 forward; sum g, sum g*(x - mean) backward
//   sums         double [2C + 1]      the same over lanes, then over ranks; last: images
//   affine       float  [4C]          scale, shift, mean, 1/std
//   coefficients float  [3C]          dx = a*g + b*x + k
//   running      float  mean and var

/// kStatistics: one pass over the convolution's output while it is in cache.
template <class T>
class Statistics : public Kernel {
 public:
  Statistics(const Geometry& g, const Binding& b)
      : geometry_(g), src_(b[Role::kSrc]), lane_sums_(b[Role::kLaneSums]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    auto* sums = lane_sums_.of_lane<double>(lane.index);
    if (range.first == lane.begin) std::fill_n(sums, 2 * geometry_.channels, 0.0);
    stored_kernels<T>().channel_sums(geometry_, range.last - range.first, src_.at<T>(lane, range),
                                     sums);
  }

 private:
  Geometry geometry_;
  Memory src_, lane_sums_;
};

/// Adds the lanes' sums in their order and appends the number of images.
void combine_lanes(const StepContext& context, int lanes, const Memory& lane_sums, int count,
                   double* sums) {
  std::fill_n(sums, count, 0.0);
  for (int l = 0; l < lanes; ++l) {
    const auto [begin, end] = lane_images(context.images, lanes, l);
    if (begin == end) continue;
    const double* own = lane_sums.of_lane<double>(l);
    for (int i = 0; i < count; ++i) sums[i] += own[i];
  }
  sums[count] = context.images;
}

class CombineStatistics : public Kernel {
 public:
  CombineStatistics(int channels, const Binding& b)
      : channels_(channels),
        lanes_(b.lanes),
        lane_sums_(b[Role::kLaneSums]),
        sums_(b[Role::kSums].of_lane<double>()) {}

  void run(const StepContext& context, const Lane&, const Range&) override {
    combine_lanes(context, lanes_, lane_sums_, 2 * channels_, sums_);
  }

 private:
  int channels_, lanes_;
  Memory lane_sums_;
  double* sums_;
};

void write_affine(int channels, const float* gamma, const float* beta, const double* mean,
                  const double* inverse_std, float* affine) {
  for (int c = 0; c < channels; ++c) {
    const double scale = gamma[c] * inverse_std[c];
    affine[c] = static_cast<float>(scale);
    affine[channels + c] = static_cast<float>(beta[c] - mean[c] * scale);
    affine[2 * channels + c] = static_cast<float>(mean[c]);
    affine[3 * channels + c] = static_cast<float>(inverse_std[c]);
  }
}

/// kFinishStatistics: the biased variance normalizes, the unbiased one goes into the running
/// statistics; with a single element it would be infinite, so the running ones stay then.
class FinishStatistics : public Kernel {
 public:
  FinishStatistics(const CallSite& site, const Geometry& g)
      : norm_(std::get<BatchNorm>(site.op.attributes)),
        channels_(g.channels),
        pixels_(g.pixels),
        sums_(site.binding[Role::kSums].of_lane<double>()),
        gamma_(site.binding[Role::kWeights].of_lane()),
        beta_(site.binding[Role::kBias].of_lane()),
        affine_(site.binding[Role::kAffine].of_lane()),
        running_mean_(site.binding[Role::kRunning].of_lane()),
        running_var_(running_mean_ + statistic_stride(site)),
        mean_(static_cast<std::size_t>(channels_)),
        inverse_std_(mean_.size()) {}

  void run(const StepContext& context, const Lane&, const Range&) override {
    const double count = sums_[2 * channels_] * pixels_;
    if (count == 0) return;
    const bool update = context.update_running && count > 1;
    for (int c = 0; c < channels_; ++c) {
      const auto i = static_cast<std::size_t>(c);
      const double mean = sums_[c] / count;
      double var = sums_[channels_ + c] / count - mean * mean;
      if (var < 0) var = 0;  // rounding; a NaN stays one
      mean_[i] = mean;
      inverse_std_[i] = 1.0 / std::sqrt(var + static_cast<double>(norm_.eps));
      if (update) {
        blend(running_mean_[c], mean);
        blend(running_var_[c], var * count / (count - 1));
      }
    }
    write_affine(channels_, gamma_, beta_, mean_.data(), inverse_std_.data(), affine_);
  }

 private:
  static std::size_t statistic_stride(const CallSite& site) {
    const auto offsets = statistic_offsets(site.graph);
    const auto first = static_cast<std::size_t>(site.op.first_statistic);
    return offsets[first + 1] - offsets[first];
  }
  void blend(float& running, double batch) const {
    const double m = norm_.momentum;
    running = static_cast<float>((1 - m) * static_cast<double>(running) + m * batch);
  }

  BatchNorm norm_;
  int channels_, pixels_;
  const double* sums_;
  const float *gamma_, *beta_;
  float *affine_, *running_mean_, *running_var_;
  std::vector<double> mean_, inverse_std_;
};

/// kRunningStatistics: evaluation normalizes by what training collected.
class RunningStatistics : public Kernel {
 public:
  RunningStatistics(const CallSite& site, const Geometry& g)
      : eps_(std::get<BatchNorm>(site.op.attributes).eps),
        channels_(g.channels),
        gamma_(site.binding[Role::kWeights].of_lane()),
        beta_(site.binding[Role::kBias].of_lane()),
        affine_(site.binding[Role::kAffine].of_lane()),
        running_mean_(site.binding[Role::kRunning].of_lane()) {
    const auto offsets = statistic_offsets(site.graph);
    const auto first = static_cast<std::size_t>(site.op.first_statistic);
    running_var_ = running_mean_ + (offsets[first + 1] - offsets[first]);
  }

  void run(const StepContext&, const Lane&, const Range&) override {
    for (int c = 0; c < channels_; ++c) {
      const double mean = running_mean_[c];
      const double inverse =
          1.0 / std::sqrt(static_cast<double>(running_var_[c]) + static_cast<double>(eps_));
      const double scale = gamma_[c] * inverse;
      affine_[c] = static_cast<float>(scale);
      affine_[channels_ + c] = static_cast<float>(beta_[c] - mean * scale);
    }
  }

 private:
  float eps_;
  int channels_;
  const float *gamma_, *beta_;
  float* affine_;
  const float* running_mean_;
  const float* running_var_;
};

/// kForward: y = x*scale + shift [+ residual] [ReLU] in one pass.
template <class T>
class Apply : public Kernel {
 public:
  Apply(const CallSite& site, const Geometry& g)
      : geometry_(g),
        src_(site.binding[Role::kSrc]),
        dst_(site.binding[Role::kDst]),
        affine_(site.binding[Role::kAffine].of_lane()),
        relu_(site.call.relu),
        has_residual_(site.binding.has(Role::kResidual)) {
    if (has_residual_) residual_ = site.binding[Role::kResidual];
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    stored_kernels<T>().norm_apply(geometry_, range.last - range.first, src_.at<T>(lane, range),
                                   has_residual_ ? residual_.at<T>(lane, range) : nullptr,
                                   dst_.at<T>(lane, range), affine_, affine_ + geometry_.channels,
                                   relu_);
  }

 private:
  Geometry geometry_;
  Memory src_, dst_, residual_;
  const float* affine_;
  bool relu_, has_residual_;
};

/// kBackwardSums: adds the consumers' gradients, masks them with the ReLU and sums, in one pass.
template <class T>
class BackwardSums : public Kernel {
 public:
  BackwardSums(const CallSite& site, const Geometry& g)
      : geometry_(g),
        diff_dst_(site.binding[Role::kDiffDst]),
        src_(site.binding[Role::kSrc]),
        lane_sums_(site.binding[Role::kLaneSums]),
        mean_(site.binding[Role::kAffine].of_lane() + 2 * g.channels),
        relu_(site.call.relu),
        two_(site.binding.has(Role::kDiffDst2)),
        writes_(site.binding.has(Role::kMasked)) {
    if (relu_) dst_ = site.binding[Role::kDst];
    if (two_) diff_dst2_ = site.binding[Role::kDiffDst2];
    if (writes_) masked_ = site.binding[Role::kMasked];
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    auto* sums = lane_sums_.of_lane<double>(lane.index);
    if (range.first == lane.begin) std::fill_n(sums, 2 * geometry_.channels, 0.0);
    stored_kernels<T>().norm_backward_sums(
        geometry_, range.last - range.first, diff_dst_.at<T>(lane, range),
        two_ ? diff_dst2_.at<T>(lane, range) : nullptr, relu_ ? dst_.at<T>(lane, range) : nullptr,
        src_.at<T>(lane, range), mean_, writes_ ? masked_.at<T>(lane, range) : nullptr, sums);
  }

 private:
  Geometry geometry_;
  Memory diff_dst_, diff_dst2_, dst_, src_, masked_, lane_sums_;
  const float* mean_;
  bool relu_, two_, writes_;
};

/// kCombineBackward: also the gradients of gamma and beta, from this rank's sums alone: they join
/// the gradients' all-reduce like any other.
class CombineBackward : public Kernel {
 public:
  CombineBackward(const CallSite& site, const Geometry& g)
      : channels_(g.channels),
        lanes_(site.binding.lanes),
        lane_sums_(site.binding[Role::kLaneSums]),
        sums_(site.binding[Role::kSums].of_lane<double>()),
        inverse_std_(site.binding[Role::kAffine].of_lane() + 3 * g.channels),
        gamma_gradient_(site.binding[Role::kGradient].of_lane()),
        beta_gradient_(site.binding[Role::kBiasGradient].of_lane()) {}

  void run(const StepContext& context, const Lane&, const Range&) override {
    combine_lanes(context, lanes_, lane_sums_, 2 * channels_, sums_);
    for (int c = 0; c < channels_; ++c) {
      const auto gamma =
          context.images == 0
              ? 0.0f
              : static_cast<float>(sums_[channels_ + c] * static_cast<double>(inverse_std_[c]));
      const auto beta = static_cast<float>(sums_[c]);
      gamma_gradient_[c] = context.first_micro_batch ? gamma : gamma_gradient_[c] + gamma;
      beta_gradient_[c] = context.first_micro_batch ? beta : beta_gradient_[c] + beta;
    }
  }

 private:
  int channels_, lanes_;
  Memory lane_sums_;
  double* sums_;
  const float* inverse_std_;
  float *gamma_gradient_, *beta_gradient_;
};

/// kFinishBackward: coefficients of dx = gamma/std * (g - mean(g) - xhat * mean(g*xhat)).
class FinishBackward : public Kernel {
 public:
  FinishBackward(const CallSite& site, const Geometry& g)
      : channels_(g.channels),
        pixels_(g.pixels),
        sums_(site.binding[Role::kSums].of_lane<double>()),
        gamma_(site.binding[Role::kWeights].of_lane()),
        affine_(site.binding[Role::kAffine].of_lane()),
        coefficients_(site.binding[Role::kCoefficients].of_lane()) {}

  void run(const StepContext&, const Lane&, const Range&) override {
    const double count = sums_[2 * channels_] * pixels_;
    if (count == 0) return;
    for (int c = 0; c < channels_; ++c) {
      const double mean = affine_[2 * channels_ + c], inverse = affine_[3 * channels_ + c];
      const double a = gamma_[c] * inverse;
      const double b = -a * inverse * inverse * sums_[channels_ + c] / count;
      coefficients_[c] = static_cast<float>(a);
      coefficients_[channels_ + c] = static_cast<float>(b);
      coefficients_[2 * channels_ + c] = static_cast<float>(-a * sums_[c] / count - b * mean);
    }
  }

 private:
  int channels_, pixels_;
  const double* sums_;
  const float *gamma_, *affine_;
  float* coefficients_;
};

/// kBackwardData.
template <class T>
class BackwardData : public Kernel {
 public:
  BackwardData(const CallSite& site, const Geometry& g)
      : geometry_(g),
        masked_(site.binding[Role::kMasked]),
        src_(site.binding[Role::kSrc]),
        diff_src_(site.binding[Role::kDiffSrc]),
        coefficients_(site.binding[Role::kCoefficients].of_lane()) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int c = geometry_.channels;
    stored_kernels<T>().norm_backward_data(
        geometry_, range.last - range.first, masked_.at<T>(lane, range), src_.at<T>(lane, range),
        diff_src_.at<T>(lane, range), coefficients_, coefficients_ + c, coefficients_ + 2 * c);
  }

 private:
  Geometry geometry_;
  Memory masked_, src_, diff_src_;
  const float* coefficients_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const BatchNorm&, const CallSite& site) {
  const Geometry g = site.geometry(site.op.inputs[0]);
  const Storage storage = site.storage(site.op.inputs[0]);
  switch (site.call.kind) {
    case CallKind::kStatistics:
      return make_stored<Statistics>(storage, g, site.binding);
    case CallKind::kCombineStatistics:
      return std::make_unique<CombineStatistics>(g.channels, site.binding);
    case CallKind::kFinishStatistics:
      return std::make_unique<FinishStatistics>(site, g);
    case CallKind::kRunningStatistics:
      return std::make_unique<RunningStatistics>(site, g);
    case CallKind::kForward:
      return make_stored<Apply>(storage, site, g);
    case CallKind::kBackwardSums:
      return make_stored<BackwardSums>(storage, site, g);
    case CallKind::kCombineBackward:
      return std::make_unique<CombineBackward>(site, g);
    case CallKind::kFinishBackward:
      return std::make_unique<FinishBackward>(site, g);
    case CallKind::kBackwardData:
      return make_stored<BackwardData>(storage, site, g);
    default:
      site.no_kernel();
  }
}

}  // namespace lockstep::cpu
