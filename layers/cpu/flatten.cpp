#include "layers/cpu/bf16.h"
#include "layers/cpu/kernel_factories.h"
#include "layers/layout.h"

namespace lockstep::cpu {

namespace {

/// Calls f(where an element lies in a layout, where in channel by channel) for all of one image.
template <class F>
void for_each_element(const Geometry& g, F f) {
  const int run = g.block ? g.block : g.channels;
  std::size_t at = 0;
  for (int first = 0; first < g.channels; first += run)
    for (int p = 0; p < g.pixels; ++p)
      for (int c = first; c < first + run; ++c)
        f(at++, static_cast<std::size_t>(c) * static_cast<std::size_t>(g.pixels) +
                    static_cast<std::size_t>(p));
}

/// From stored pixels to f32 vectors in plain order, and back.
template <class T>
class FlattenKernel : public Kernel {
 public:
  explicit FlattenKernel(const CallSite& site)
      : backward_(site.call.kind == CallKind::kBackwardData),
        geometry_(site.geometry(site.op.inputs[0])),
        from_(site.binding[backward_ ? Role::kDiffDst : Role::kSrc]),
        to_(site.binding[backward_ ? Role::kDiffSrc : Role::kDst]) {
    if (site.op.inputs[0] == site.graph.input() && planar_input(site.layout))
      geometry_ = {.channels = geometry_.channels * geometry_.pixels};  // in plain order already
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    for (Range image = range; image.first < range.last; ++image.first) {
      if (backward_) {
        const float* from = from_.at(lane, image);
        T* to = to_.at<T>(lane, image);
        for_each_element(geometry_,
                         [&](auto stored, auto plain) { to[stored] = rounded<T>(from[plain]); });
      } else {
        const T* from = from_.at<T>(lane, image);
        float* to = to_.at(lane, image);
        for_each_element(geometry_,
                         [&](auto stored, auto plain) { to[plain] = widened(from[stored]); });
      }
    }
  }

 private:
  bool backward_;
  Geometry geometry_;
  Memory from_, to_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Flatten&, const CallSite& site) {
  site.require_pass();
  return make_stored<FlattenKernel>(site.storage(site.op.inputs[0]), site);
}

}  // namespace lockstep::cpu
