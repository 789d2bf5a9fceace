#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

PoolGeometry pool_geometry(const CallSite& site, const Pool& pool) {
  const Shape& in = site.shape(site.op.inputs[0]);
  const Shape& out = site.shape(site.op.output);
  // A window over a vector would be laid out differently on both sides; the block is the input's.
  return {.channels = in.channels,
          .height = in.height,
          .width = in.width,
          .block = site.geometry(site.op.inputs[0]).block,
          .out_height = out.height,
          .out_width = out.width,
          .kernel = pool.kernel,
          .stride = pool.stride,
          .padding = pool.padding};
}

template <class T>
class PoolKernel : public Kernel {
 public:
  explicit PoolKernel(const CallSite& site)
      : max_(std::get<Pool>(site.op.attributes).kind == PoolKind::kMax),
        backward_(site.call.kind == CallKind::kBackwardData),
        geometry_(pool_geometry(site, std::get<Pool>(site.op.attributes))),
        from_(site.binding[backward_ ? Role::kDiffDst : Role::kSrc]),
        to_(site.binding[backward_ ? Role::kDiffSrc : Role::kDst]) {
    if (max_) index_ = site.binding[Role::kWorkspace];
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int images = range.last - range.first;
    const T* from = from_.at<T>(lane, range);
    T* to = to_.at<T>(lane, range);
    const StoredKernels<T>& k = stored_kernels<T>();
    if (max_ && backward_)
      k.max_pool_backward(geometry_, images, from, index_.at<std::uint8_t>(lane, range), to);
    else if (max_)
      k.max_pool(geometry_, images, from, to, index_.at<std::uint8_t>(lane, range));
    else if (backward_)
      k.average_pool_backward(geometry_, images, from, to);
    else
      k.average_pool(geometry_, images, from, to);
  }

 private:
  bool max_, backward_;
  PoolGeometry geometry_;
  Memory from_, to_, index_;
};

/// From stored pixels to f32 vectors, and back.
template <class T>
class GlobalAverage : public Kernel {
 public:
  explicit GlobalAverage(const CallSite& site)
      : backward_(site.call.kind == CallKind::kBackwardData),
        geometry_(site.geometry(site.op.inputs[0])),
        from_(site.binding[backward_ ? Role::kDiffDst : Role::kSrc]),
        to_(site.binding[backward_ ? Role::kDiffSrc : Role::kDst]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int images = range.last - range.first;
    if (backward_)
      stored_kernels<T>().global_average_backward(geometry_, images, from_.at(lane, range),
                                                  to_.at<T>(lane, range));
    else
      stored_kernels<T>().global_average(geometry_, images, from_.at<T>(lane, range),
                                         to_.at(lane, range));
  }

 private:
  bool backward_;
  Geometry geometry_;
  Memory from_, to_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Pool&, const CallSite& site) {
  site.require_pass();
  return make_stored<PoolKernel>(site.storage(site.op.inputs[0]), site);
}

std::unique_ptr<Kernel> make_kernel(const GlobalAveragePool&, const CallSite& site) {
  site.require_pass();
  return make_stored<GlobalAverage>(site.storage(site.op.inputs[0]), site);
}

}  // namespace lockstep::cpu
