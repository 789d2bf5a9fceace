#include <algorithm>

#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

/// Copies one image's channels [0,C) of `from` to channels [offset, offset + C) of `to`, or back.
/// In a blocked layout channel blocks are contiguous planes; in nhwc each pixel has a run.
struct ChannelSlice {
  int channels, pixels, offset, total, block;

  std::size_t runs() const { return block ? 1 : static_cast<std::size_t>(pixels); }
  std::size_t run_length() const {
    return static_cast<std::size_t>(channels) * (block ? static_cast<std::size_t>(pixels) : 1);
  }
  std::size_t wide_begin() const {
    return static_cast<std::size_t>(offset) * (block ? static_cast<std::size_t>(pixels) : 1);
  }
  template <class T>
  void insert(const T* narrow, T* wide) const {
    for (std::size_t r = 0; r < runs(); ++r)
      std::copy_n(narrow + r * run_length(), run_length(),
                  wide + wide_begin() + r * static_cast<std::size_t>(total));
  }
  template <class T>
  void extract(const T* wide, T* narrow) const {
    for (std::size_t r = 0; r < runs(); ++r)
      std::copy_n(wide + wide_begin() + r * static_cast<std::size_t>(total), run_length(),
                  narrow + r * run_length());
  }
};

ChannelSlice slice_of(const CallSite& site, std::size_t input) {
  int offset = 0;
  for (std::size_t i = 0; i < input; ++i) offset += site.shape(site.op.inputs[i]).channels;
  const Geometry out = site.geometry(site.op.output);
  return {site.shape(site.op.inputs[input]).channels, out.pixels, offset, out.channels, out.block};
}

/// kForward, called once per input: writes that input's channels.
template <class T>
class ConcatPart : public Kernel {
 public:
  explicit ConcatPart(const CallSite& site)
      : forward_(site.call.kind == CallKind::kForward),
        slice_(slice_of(site, static_cast<std::size_t>(site.call.input_index))),
        narrow_(site.binding[forward_ ? Role::kSrc : Role::kDiffSrc]),
        wide_(site.binding[forward_ ? Role::kDst : Role::kDiffDst]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    for (Range image = range; image.first < range.last; ++image.first) {
      if (forward_)
        slice_.insert(narrow_.at<T>(lane, image), wide_.at<T>(lane, image));
      else
        slice_.extract(wide_.at<T>(lane, image), narrow_.at<T>(lane, image));
    }
  }

 private:
  bool forward_;
  ChannelSlice slice_;
  Memory narrow_, wide_;
};

/// Shortcut A: every stride-th pixel, zero channels appended; backward puts the gradient back.
template <class T>
class ChannelPadKernel : public Kernel {
 public:
  explicit ChannelPadKernel(const CallSite& site)
      : forward_(site.call.kind == CallKind::kForward),
        stride_(std::get<ChannelPad>(site.op.attributes).stride),
        in_(site.shape(site.op.inputs[0])),
        out_(site.shape(site.op.output)),
        small_(site.geometry(site.op.inputs[0])),
        large_(site.geometry(site.op.output)),
        from_(site.binding[forward_ ? Role::kSrc : Role::kDiffDst]),
        to_(site.binding[forward_ ? Role::kDst : Role::kDiffSrc]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    for (Range image = range; image.first < range.last; ++image.first) {
      const T* from = from_.at<T>(lane, image);
      T* to = to_.at<T>(lane, image);
      std::fill_n(to, (forward_ ? out_ : in_).elements(), T{});
      for_each_run([&](std::size_t in, std::size_t out, std::size_t n) {
        if (forward_)
          std::copy_n(from + in, n, to + out);
        else
          std::copy_n(from + out, n, to + in);
      });
    }
  }

 private:
  /// Contiguous channels of one kept pixel: all of them in nhwc, a block's in a blocked layout.
  template <class Copy>
  void for_each_run(Copy copy) const {
    const int run = run_length();
    for (int c = 0; c < in_.channels; c += run)
      for (int h = 0; h < out_.height; ++h)
        for (int w = 0; w < out_.width; ++w)
          copy(offset(small_, c, (h * stride_) * in_.width + w * stride_),
               offset(large_, c, h * out_.width + w), static_cast<std::size_t>(run));
  }
  int run_length() const {
    const int block = std::max(small_.block, large_.block);
    return block ? block : in_.channels;
  }
  static std::size_t offset(const Geometry& g, int channel, int pixel) {
    const auto c = static_cast<std::size_t>(channel), p = static_cast<std::size_t>(pixel);
    if (g.block == 0) return p * static_cast<std::size_t>(g.channels) + c;
    return c * static_cast<std::size_t>(g.pixels) + p * static_cast<std::size_t>(g.block);
  }

  bool forward_;
  int stride_;
  Shape in_, out_;
  Geometry small_, large_;
  Memory from_, to_;
};

/// A gate for all channels of an image: as ChannelScaleKernel, whatever the layout.
template <class T>
class ImageScaleKernel : public Kernel {
 public:
  explicit ImageScaleKernel(const CallSite& site)
      : forward_(site.call.kind == CallKind::kForward),
        gate_gradient_(site.call.input_index == 1),
        elements_(static_cast<std::size_t>(site.shape(site.op.inputs[0]).elements())),
        src_(site.binding[Role::kSrc]),
        gate_(site.binding[Role::kSrc2]),
        to_(site.binding[forward_ ? Role::kDst : Role::kDiffSrc]) {
    if (!forward_) diff_dst_ = site.binding[Role::kDiffDst];
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const StoredKernels<T>& k = stored_kernels<T>();
    const Memory& from = forward_ ? src_ : diff_dst_;
    if (!forward_ && gate_gradient_) {
      k.image_products(elements_, range.last - range.first, from.at<T>(lane, range),
                       src_.at<T>(lane, range), to_.at(lane, range));
      return;
    }
    for (Range image = range; image.first < range.last; ++image.first)
      k.scale(elements_, from.at<T>(lane, image), *gate_.at(lane, image), to_.at<T>(lane, image));
  }

 private:
  bool forward_, gate_gradient_;
  std::size_t elements_;
  Memory src_, gate_, to_, diff_dst_;
};

/// Squeeze-excitation's product. Backward is asked for one input at a time: 0 data, 1 gate.
/// The gates are f32.
template <class T>
class ChannelScaleKernel : public Kernel {
 public:
  explicit ChannelScaleKernel(const CallSite& site)
      : forward_(site.call.kind == CallKind::kForward),
        gate_gradient_(site.call.input_index == 1),
        geometry_(site.geometry(site.op.inputs[0])),
        src_(site.binding[Role::kSrc]),
        gate_(site.binding[Role::kSrc2]),
        to_(site.binding[forward_ ? Role::kDst : Role::kDiffSrc]) {
    if (!forward_) diff_dst_ = site.binding[Role::kDiffDst];
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const int n = range.last - range.first;
    const StoredKernels<T>& k = stored_kernels<T>();
    const T* src = src_.at<T>(lane, range);
    const float* gate = gate_.at(lane, range);
    if (forward_) {
      k.channel_scale(geometry_, n, src, gate, to_.at<T>(lane, range));
      return;
    }
    const T* dy = diff_dst_.at<T>(lane, range);
    if (gate_gradient_)
      k.channel_scale_backward_gate(geometry_, n, dy, src, to_.at(lane, range));
    else
      k.channel_scale_backward_data(geometry_, n, dy, gate, to_.at<T>(lane, range));
  }

 private:
  bool forward_, gate_gradient_;
  Geometry geometry_;
  Memory src_, gate_, to_, diff_dst_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Concat&, const CallSite& site) {
  site.require_pass();
  return make_stored<ConcatPart>(site.storage(site.op.inputs[0]), site);
}

std::unique_ptr<Kernel> make_kernel(const ChannelPad&, const CallSite& site) {
  site.require_pass();
  return make_stored<ChannelPadKernel>(site.storage(site.op.inputs[0]), site);
}

std::unique_ptr<Kernel> make_kernel(const ChannelScale&, const CallSite& site) {
  site.require_pass();
  const Storage storage = site.storage(site.op.inputs[0]);
  if (site.shape(site.op.inputs[1]).channels != site.shape(site.op.inputs[0]).channels)
    return make_stored<ImageScaleKernel>(storage, site);
  return make_stored<ChannelScaleKernel>(storage, site);
}

}  // namespace lockstep::cpu
