#include <algorithm>

#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

/// Mean and 1/std of every pixel are kept for backward, float [2][pixels] an image.
template <class T>
class LayerNormForward : public Kernel {
 public:
  explicit LayerNormForward(const CallSite& site)
      : geometry_(site.geometry(site.op.inputs[0])),
        eps_(std::get<LayerNorm>(site.op.attributes).eps),
        src_(site.binding[Role::kSrc]),
        dst_(site.binding[Role::kDst]),
        workspace_(site.binding[Role::kWorkspace]),
        gamma_(site.binding[Role::kWeights].of_lane()),
        beta_(site.binding[Role::kBias].of_lane()) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    stored_kernels<T>().layer_norm(geometry_, range.last - range.first, src_.at<T>(lane, range),
                                   dst_.at<T>(lane, range), gamma_, beta_, eps_,
                                   workspace_.at(lane, range));
  }

 private:
  Geometry geometry_;
  float eps_;
  Memory src_, dst_, workspace_;
  const float *gamma_, *beta_;
};

/// Data gradient, and the lane's gradients of gamma and beta.
template <class T>
class LayerNormBackward : public Kernel {
 public:
  explicit LayerNormBackward(const CallSite& site)
      : geometry_(site.geometry(site.op.inputs[0])),
        src_(site.binding[Role::kSrc]),
        diff_dst_(site.binding[Role::kDiffDst]),
        diff_src_(site.binding[Role::kDiffSrc]),
        workspace_(site.binding[Role::kWorkspace]),
        gamma_gradient_(site.binding[Role::kLaneGradient]),
        beta_gradient_(site.binding[Role::kLaneBiasGradient]),
        gamma_(site.binding[Role::kWeights].of_lane()) {}

  /// Gradients of one image.
  std::size_t scratch_bytes() const override {
    return 2 * static_cast<std::size_t>(geometry_.channels) * sizeof(float);
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const auto channels = static_cast<std::size_t>(geometry_.channels);
    float* gamma_gradient = gamma_gradient_.of_lane(lane.index);
    float* beta_gradient = beta_gradient_.of_lane(lane.index);
    auto* of_image = reinterpret_cast<float*>(lane.scratch);
    if (range.first == lane.begin) {
      std::fill_n(gamma_gradient, channels, 0.0f);
      std::fill_n(beta_gradient, channels, 0.0f);
    }
    for (Range image = range; image.first < range.last; ++image.first) {
      stored_kernels<T>().layer_norm_backward(
          geometry_, diff_dst_.at<T>(lane, image), src_.at<T>(lane, image), gamma_,
          workspace_.at(lane, image), diff_src_.at<T>(lane, image), of_image, of_image + channels);
      kernels().accumulate(channels, of_image, gamma_gradient);
      kernels().accumulate(channels, of_image + channels, beta_gradient);
    }
  }

 private:
  Geometry geometry_;
  Memory src_, diff_dst_, diff_src_, workspace_, gamma_gradient_, beta_gradient_;
  const float* gamma_;
};

/// dst = src * weight[c].
template <class T>
class LayerScaleForward : public Kernel {
 public:
  explicit LayerScaleForward(const CallSite& site)
      : geometry_(site.geometry(site.op.inputs[0])),
        src_(site.binding[Role::kSrc]),
        dst_(site.binding[Role::kDst]),
        weights_(site.binding[Role::kWeights].of_lane()) {}

  /// [zeros to shift by]
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(geometry_.channels) * sizeof(float);
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    auto* zeros = reinterpret_cast<float*>(lane.scratch);
    std::fill_n(zeros, geometry_.channels, 0.0f);
    stored_kernels<T>().norm_apply(geometry_, range.last - range.first, src_.at<T>(lane, range),
                                   nullptr, dst_.at<T>(lane, range), weights_, zeros, false);
  }

 private:
  Geometry geometry_;
  Memory src_, dst_;
  const float* weights_;
};

/// Data gradient, and the lane's gradient of the weights.
template <class T>
class LayerScaleBackward : public Kernel {
 public:
  explicit LayerScaleBackward(const CallSite& site)
      : geometry_(site.geometry(site.op.inputs[0])),
        src_(site.binding[Role::kSrc]),
        diff_dst_(site.binding[Role::kDiffDst]),
        diff_src_(site.binding[Role::kDiffSrc]),
        gradient_(site.binding[Role::kLaneGradient]),
        weights_(site.binding[Role::kWeights].of_lane()) {}

  /// Sums of a piece.
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(geometry_.channels) * sizeof(double);
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int channels = geometry_.channels;
    float* gradient = gradient_.of_lane(lane.index);
    if (range.first == lane.begin) std::fill_n(gradient, channels, 0.0f);
    auto* sums = reinterpret_cast<double*>(lane.scratch);
    std::fill_n(sums, channels, 0.0);
    stored_kernels<T>().factors_backward(geometry_, range.last - range.first,
                                         diff_dst_.at<T>(lane, range), src_.at<T>(lane, range),
                                         weights_, diff_src_.at<T>(lane, range), sums);
    for (int c = 0; c < channels; ++c) gradient[c] += static_cast<float>(sums[c]);
  }

 private:
  Geometry geometry_;
  Memory src_, diff_dst_, diff_src_, gradient_;
  const float* weights_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const LayerNorm&, const CallSite& site) {
  const Storage storage = site.storage(site.op.inputs[0]);
  switch (site.call.kind) {
    case CallKind::kForward:
      return make_stored<LayerNormForward>(storage, site);
    case CallKind::kBackwardData:
      return make_stored<LayerNormBackward>(storage, site);
    case CallKind::kFoldGradient:
      return make_fold_kernel(site);
    default:
      site.no_kernel();
  }
}

std::unique_ptr<Kernel> make_kernel(const LayerScale&, const CallSite& site) {
  const Storage storage = site.storage(site.op.inputs[0]);
  switch (site.call.kind) {
    case CallKind::kForward:
      return make_stored<LayerScaleForward>(storage, site);
    case CallKind::kBackwardData:
      return make_stored<LayerScaleBackward>(storage, site);
    case CallKind::kFoldGradient:
      return make_fold_kernel(site);
    default:
      site.no_kernel();
  }
}

}  // namespace lockstep::cpu
