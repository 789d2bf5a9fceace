#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

template <class T>
class UpsampleKernel : public Kernel {
 public:
  explicit UpsampleKernel(const CallSite& site)
      : backward_(site.call.kind == CallKind::kBackwardData),
        from_(site.binding[backward_ ? Role::kDiffDst : Role::kSrc]),
        to_(site.binding[backward_ ? Role::kDiffSrc : Role::kDst]) {
    const Shape &in = site.shape(site.op.inputs[0]), &out = site.shape(site.op.output);
    geometry_ = {.channels = in.channels,
                 .height = in.height,
                 .width = in.width,
                 .block = site.geometry(site.op.output).block,
                 .out_height = out.height,
                 .out_width = out.width,
                 .stride = std::get<Upsample>(site.op.attributes).factor};
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const StoredKernels<T>& k = stored_kernels<T>();
    (backward_ ? k.upsample_backward : k.upsample)(
        geometry_, range.last - range.first, from_.at<T>(lane, range), to_.at<T>(lane, range));
  }

 private:
  bool backward_;
  PoolGeometry geometry_;
  Memory from_, to_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Upsample&, const CallSite& site) {
  site.require_pass();
  return make_stored<UpsampleKernel>(site.storage(site.op.output), site);
}

}  // namespace lockstep::cpu
