#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

PoolGeometry pool_geometry(const CallSite& site, const Pool& pool) {
  const Shape& in = site.shape(site.op.inputs[0]);
  const Shape& out = site.shape(site.op.output);
  // A window over a vector would be laid out differently on both sides; the block is the input's.
  return {.channels = in.channels, .height = in.height, .width = in.width,
          .block = site.geometry(site.op.inputs[0]).block,
          .out_height = out.height, .out_width = out.width,
          .kernel = pool.kernel, .stride = pool.stride, .padding = pool.padding};
}

class PoolKernel : public Kernel {
 public:
  PoolKernel(const CallSite& site, const Pool& pool)
      : max_(pool.kind == PoolKind::kMax), backward_(site.call.kind == CallKind::kBackwardData),
        geometry_(pool_geometry(site, pool)),
        from_(site.binding[backward_ ? Role::kDiffDst : Role::kSrc]),
        to_(site.binding[backward_ ? Role::kDiffSrc : Role::kDst]) {
    if (max_) index_ = site.binding[Role::kWorkspace];
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int images = range.last - range.first;
    const float* from = from_.at(lane, range);
    float* to = to_.at(lane, range);
    if (max_ && backward_)
      kernels().max_pool_backward(geometry_, images, from, index_.at<std::uint8_t>(lane, range), to);
    else if (max_)
      kernels().max_pool(geometry_, images, from, to, index_.at<std::uint8_t>(lane, range));
    else if (backward_)
      kernels().average_pool_backward(geometry_, images, from, to);
    else
      kernels().average_pool(geometry_, images, from, to);
  }

 private:
  bool max_, backward_;
  PoolGeometry geometry_;
  Memory from_, to_, index_;
};

class GlobalAverage : public Kernel {
 public:
  explicit GlobalAverage(const CallSite& site)
      : backward_(site.call.kind == CallKind::kBackwardData),
        geometry_(site.geometry(site.op.inputs[0])),
        from_(site.binding[backward_ ? Role::kDiffDst : Role::kSrc]),
        to_(site.binding[backward_ ? Role::kDiffSrc : Role::kDst]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const auto pass = backward_ ? kernels().global_average_backward : kernels().global_average;
    pass(geometry_, range.last - range.first, from_.at(lane, range), to_.at(lane, range));
  }

 private:
  bool backward_;
  Geometry geometry_;
  Memory from_, to_;
};

}  // namespace

std::unique_ptr<Kernel> make_pool_kernel(const CallSite& site) {
  if (site.call.kind != CallKind::kForward && site.call.kind != CallKind::kBackwardData)
    site.no_kernel();
  if (const auto* pool = std::get_if<Pool>(&site.op.attributes))
    return std::make_unique<PoolKernel>(site, *pool);
  return std::make_unique<GlobalAverage>(site);
}

}  // namespace lockstep::cpu
