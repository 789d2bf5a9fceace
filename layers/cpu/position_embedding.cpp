#include <algorithm>

#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

/// dst = src + weight, image by image: the weights lie as an image's pixels do, channels side by
/// side.
template <class T>
class PositionForward : public Kernel {
 public:
  explicit PositionForward(const CallSite& site)
      : elements_(static_cast<std::size_t>(site.shape(site.op.output).elements())),
        src_(site.binding[Role::kSrc]),
        dst_(site.binding[Role::kDst]),
        weights_(site.binding[Role::kWeights].of_lane()) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    for (Range image = range; image.first < range.last; ++image.first)
      stored_kernels<T>().add_floats(elements_, src_.at<T>(lane, image), weights_,
                                     dst_.at<T>(lane, image));
  }

 private:
  std::size_t elements_;
  Memory src_, dst_;
  const float* weights_;
};

/// The lane's gradient: the sum over its images.
template <class T>
class PositionGradient : public Kernel {
 public:
  explicit PositionGradient(const CallSite& site)
      : elements_(static_cast<std::size_t>(site.shape(site.op.output).elements())),
        diff_dst_(site.binding[Role::kDiffDst]),
        gradient_(site.binding[Role::kLaneGradient]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    float* sum = gradient_.of_lane(lane.index);
    if (range.first == lane.begin) std::fill_n(sum, elements_, 0.0f);
    for (Range image = range; image.first < range.last; ++image.first)
      stored_kernels<T>().accumulate(elements_, diff_dst_.at<T>(lane, image), sum);
  }

 private:
  std::size_t elements_;
  Memory diff_dst_, gradient_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const PositionEmbedding&, const CallSite& site) {
  const Storage storage = site.storage(site.op.output);
  switch (site.call.kind) {
    case CallKind::kForward:
      return make_stored<PositionForward>(storage, site);
    case CallKind::kBackwardWeights:
      return make_stored<PositionGradient>(storage, site);
    case CallKind::kFoldGradient:
      return make_fold_kernel(site);
    default:
      site.no_kernel();
  }
}

}  // namespace lockstep::cpu
