#include <algorithm>
#include <cmath>

#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

/// Per image and group: mean and 1/std, kept for backward as float [2][groups]. The channel kernels of
/// batch norm do the passes, one image at a time.
class GroupNormKernel : public Kernel {
 public:
  GroupNormKernel(const CallSite& site, const Geometry& g)
      : norm_(std::get<GroupNorm>(site.op.attributes)),
        geometry_(g),
        group_channels_(g.channels / norm_.groups),
        src_(site.binding[Role::kSrc]),
        workspace_(site.binding[Role::kWorkspace]),
        gamma_(site.binding[Role::kWeights].of_lane()) {}

  /// [double sums 2C][float 4C]
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(geometry_.channels) * (2 * sizeof(double) + 4 * sizeof(float));
  }

 protected:
  double* sums(const Lane& lane) const {
    auto* s = reinterpret_cast<double*>(lane.scratch);
    std::fill_n(s, 2 * geometry_.channels, 0.0);
    return s;
  }
  float* floats(const Lane& lane) const {
    return reinterpret_cast<float*>(lane.scratch + static_cast<std::size_t>(geometry_.channels) *
                                                       2 * sizeof(double));
  }
  GroupNorm norm_;
  Geometry geometry_;
  int group_channels_;
  Memory src_, workspace_;
  const float* gamma_;
};

template <class T>
class GroupNormForward : public GroupNormKernel {
 public:
  GroupNormForward(const CallSite& site, const Geometry& g)
      : GroupNormKernel(site, g),
        dst_(site.binding[Role::kDst]),
        beta_(site.binding[Role::kBias].of_lane()) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int channels = geometry_.channels;
    float *scale = floats(lane), *shift = scale + channels;
    for (Range image = range; image.first < range.last; ++image.first) {
      const T* x = src_.at<T>(lane, image);
      float* saved = workspace_.at(lane, image);
      double* s = sums(lane);
      stored_kernels<T>().channel_sums(geometry_, 1, x, s);
      for (int g = 0; g < norm_.groups; ++g) affine_of_group(g, s, saved, scale, shift);
      stored_kernels<T>().norm_apply(geometry_, 1, x, nullptr, dst_.at<T>(lane, image), scale,
                                     shift, false);
    }
  }

 private:
  void affine_of_group(int g, const double* s, float* saved, float* scale, float* shift) const {
    const int begin = g * group_channels_, end = begin + group_channels_;
    double sum = 0, squares = 0;
    for (int c = begin; c < end; ++c) {
      sum += s[c];
      squares += s[geometry_.channels + c];
    }
    const double count = static_cast<double>(group_channels_) * geometry_.pixels;
    const double mean = sum / count;
    double var = squares / count - mean * mean;
    if (var < 0) var = 0;
    const double inverse = 1 / std::sqrt(var + static_cast<double>(norm_.eps));
    saved[g] = static_cast<float>(mean);
    saved[norm_.groups + g] = static_cast<float>(inverse);
    for (int c = begin; c < end; ++c) {
      scale[c] = static_cast<float>(gamma_[c] * inverse);
      shift[c] = static_cast<float>(beta_[c] - mean * gamma_[c] * inverse);
    }
  }

  Memory dst_;
  const float* beta_;
};

/// Data gradient, and the lane's gradients of gamma and beta from the same sums.
template <class T>
class GroupNormBackward : public GroupNormKernel {
 public:
  GroupNormBackward(const CallSite& site, const Geometry& g)
      : GroupNormKernel(site, g),
        diff_dst_(site.binding[Role::kDiffDst]),
        diff_src_(site.binding[Role::kDiffSrc]),
        gamma_gradient_(site.binding[Role::kLaneGradient]),
        beta_gradient_(site.binding[Role::kLaneBiasGradient]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int channels = geometry_.channels;
    float* dgamma = gamma_gradient_.of_lane(lane.index);
    float* dbeta = beta_gradient_.of_lane(lane.index);
    if (range.first == lane.begin) {
      std::fill_n(dgamma, channels, 0.0f);
      std::fill_n(dbeta, channels, 0.0f);
    }
    float *a = floats(lane), *b = a + channels, *k = b + channels, *means = k + channels;
    for (Range image = range; image.first < range.last; ++image.first) {
      const T *x = src_.at<T>(lane, image), *g = diff_dst_.at<T>(lane, image);
      const float* saved = workspace_.at(lane, image);
      for (int c = 0; c < channels; ++c) means[c] = saved[c / group_channels_];
      double* s = sums(lane);
      stored_kernels<T>().norm_backward_sums(geometry_, 1, g, nullptr, nullptr, x, means, nullptr,
                                             s);
      for (int i = 0; i < norm_.groups; ++i) coefficients_of_group(i, s, saved, a, b, k);
      for (int c = 0; c < channels; ++c) {
        dgamma[c] +=
            static_cast<float>(s[channels + c]) * saved[norm_.groups + c / group_channels_];
        dbeta[c] += static_cast<float>(s[c]);
      }
      stored_kernels<T>().norm_backward_data(geometry_, 1, g, x, diff_src_.at<T>(lane, image), a, b,
                                             k);
    }
  }

 private:
  /// dx = r*(gamma*g - mean(gamma*g) - xhat*mean(gamma*g*xhat)), means over the group's elements.
  void coefficients_of_group(int group, const double* s, const float* saved, float* a, float* b,
                             float* k) const {
    const int begin = group * group_channels_, end = begin + group_channels_;
    const double mean = saved[group], r = saved[norm_.groups + group];
    double sum = 0, projection = 0;
    for (int c = begin; c < end; ++c) {
      sum += gamma_[c] * s[c];
      projection += gamma_[c] * r * s[geometry_.channels + c];
    }
    const double count = static_cast<double>(group_channels_) * geometry_.pixels;
    const double slope = -r * r * projection / count;
    for (int c = begin; c < end; ++c) {
      a[c] = static_cast<float>(r * gamma_[c]);
      b[c] = static_cast<float>(slope);
      k[c] = static_cast<float>(-r * sum / count - slope * mean);
    }
  }

  Memory diff_dst_, diff_src_, gamma_gradient_, beta_gradient_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const GroupNorm&, const CallSite& site) {
  const Geometry g = site.geometry(site.op.inputs[0]);
  const Storage storage = site.storage(site.op.inputs[0]);
  switch (site.call.kind) {
    case CallKind::kForward:
      return make_stored<GroupNormForward>(storage, site, g);
    case CallKind::kBackwardData:
      return make_stored<GroupNormBackward>(storage, site, g);
    case CallKind::kFoldGradient:
      return make_fold_kernel(site);
    default:
      site.no_kernel();
  }
}

}  // namespace lockstep::cpu
