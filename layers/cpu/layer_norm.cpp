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

/// dst = src * weight[c]. Backward: the same with the gradient, and the lane's gradient of the
/// weight.
template <class T>
class LayerScaleKernel : public Kernel {
 public:
  explicit LayerScaleKernel(const CallSite& site)
      : forward_(site.call.kind == CallKind::kForward),
        geometry_(site.geometry(site.op.inputs[0])),
        src_(site.binding[Role::kSrc]),
        weights_(site.binding[Role::kWeights].of_lane()) {
    if (forward_) {
      to_ = site.binding[Role::kDst];
      return;
    }
    diff_dst_ = site.binding[Role::kDiffDst];
    to_ = site.binding[Role::kDiffSrc];
    gradient_ = site.binding[Role::kLaneGradient];
  }

  /// [zeros or the gradient of an image]
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(geometry_.channels) * sizeof(float);
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const StoredKernels<T>& k = stored_kernels<T>();
    const auto channels = static_cast<std::size_t>(geometry_.channels);
    auto* scratch = reinterpret_cast<float*>(lane.scratch);
    std::fill_n(scratch, channels, 0.0f);
    k.norm_apply(geometry_, range.last - range.first,
                 (forward_ ? src_ : diff_dst_).at<T>(lane, range), nullptr, to_.at<T>(lane, range),
                 weights_, scratch, false);
    if (forward_) return;
    float* gradient = gradient_.of_lane(lane.index);
    if (range.first == lane.begin) std::fill_n(gradient, channels, 0.0f);
    for (Range image = range; image.first < range.last; ++image.first) {
      k.channel_scale_backward_gate(geometry_, 1, diff_dst_.at<T>(lane, image),
                                    src_.at<T>(lane, image), scratch);
      kernels().accumulate(channels, scratch, gradient);
    }
  }

 private:
  bool forward_;
  Geometry geometry_;
  Memory src_, to_, diff_dst_, gradient_;
  const float* weights_;
};

}  // namespace

std::unique_ptr<Kernel> make_layer_norm_kernel(const CallSite& site) {
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

std::unique_ptr<Kernel> make_layer_scale_kernel(const CallSite& site) {
  if (site.call.kind == CallKind::kFoldGradient) return make_fold_kernel(site);
  if (site.call.kind != CallKind::kForward && site.call.kind != CallKind::kBackwardData)
    site.no_kernel();
  return make_stored<LayerScaleKernel>(site.storage(site.op.inputs[0]), site);
}

}  // namespace lockstep::cpu
