#include "layers/cpu/kernel_factories.h"

namespace lockstep::cpu {

namespace {

std::size_t elements_of(const CallSite& site, ValueId value) {
  return static_cast<std::size_t>(site.shape(value).elements());
}

std::size_t count(std::size_t image_elements, const Range& range) {
  return image_elements * static_cast<std::size_t>(range.last - range.first);
}

template <class T>
class AddKernel : public Kernel {
 public:
  AddKernel(std::size_t elements, Memory a, Memory b, Memory dst)
      : elements_(elements), a_(a), b_(b), dst_(dst) {}
  void run(const StepContext&, const Lane& lane, const Range& range) override {
    stored_kernels<T>().add(count(elements_, range), a_.at<T>(lane, range), b_.at<T>(lane, range),
                            dst_.at<T>(lane, range));
  }

 private:
  std::size_t elements_;
  Memory a_, b_, dst_;
};

template <class T>
class ScaleKernel : public Kernel {
 public:
  ScaleKernel(std::size_t elements, float factor, Memory from, Memory to)
      : elements_(elements), factor_(factor), from_(from), to_(to) {}
  void run(const StepContext&, const Lane& lane, const Range& range) override {
    stored_kernels<T>().scale(count(elements_, range), from_.at<T>(lane, range), factor_,
                              to_.at<T>(lane, range));
  }

 private:
  std::size_t elements_;
  float factor_;
  Memory from_, to_;
};

template <class T>
const ActivationKernels<T>& kernels_of(const Activation& activation) {
  return stored_kernels<T>().activations[static_cast<int>(activation.kind)];
}

template <class T>
class ActivationForward : public Kernel {
 public:
  explicit ActivationForward(const CallSite& site)
      : activation_(std::get<Activation>(site.op.attributes)),
        elements_(elements_of(site, site.op.output)),
        src_(site.binding[Role::kSrc]),
        dst_(site.binding[Role::kDst]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    kernels_of<T>(activation_)
        .forward(count(elements_, range), activation_.alpha, src_.at<T>(lane, range),
                 dst_.at<T>(lane, range));
  }

 private:
  Activation activation_;
  std::size_t elements_;
  Memory src_, dst_;
};

template <class T>
class ActivationBackward : public Kernel {
 public:
  explicit ActivationBackward(const CallSite& site)
      : activation_(std::get<Activation>(site.op.attributes)),
        elements_(elements_of(site, site.op.output)),
        saved_(site.binding[backward_needs(site.graph, site.op).src ? Role::kSrc : Role::kDst]),
        diff_dst_(site.binding[Role::kDiffDst]),
        diff_src_(site.binding[Role::kDiffSrc]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    kernels_of<T>(activation_)
        .backward(count(elements_, range), activation_.alpha, diff_dst_.at<T>(lane, range),
                  saved_.at<T>(lane, range), diff_src_.at<T>(lane, range));
  }

 private:
  Activation activation_;
  std::size_t elements_;
  Memory saved_, diff_dst_, diff_src_;
};

/// Backward writes the gradients of all three inputs.
template <class T>
class LerpKernel : public Kernel {
 public:
  explicit LerpKernel(const CallSite& site)
      : elements_(elements_of(site, site.op.output)),
        start_(site.binding[Role::kSrc]),
        end_(site.binding[Role::kSrc2]),
        weight_(site.binding[Role::kSrc3]) {
    if (site.call.kind == CallKind::kForward) {
      dst_ = site.binding[Role::kDst];
      return;
    }
    diff_dst_ = site.binding[Role::kDiffDst];
    diff_start_ = site.binding[Role::kDiffSrc];
    diff_end_ = site.binding[Role::kDiffSrc2];
    diff_weight_ = site.binding[Role::kDiffSrc3];
    backward_ = true;
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const auto at = [&](const Memory& memory) { return memory.at<T>(lane, range); };
    const std::size_t n = count(elements_, range);
    const StoredKernels<T>& k = stored_kernels<T>();
    if (backward_)
      k.lerp_backward(n, at(diff_dst_), at(start_), at(end_), at(weight_), at(diff_start_),
                      at(diff_end_), at(diff_weight_));
    else
      k.lerp(n, at(start_), at(end_), at(weight_), at(dst_));
  }

 private:
  bool backward_ = false;
  std::size_t elements_;
  Memory start_, end_, weight_, dst_, diff_dst_, diff_start_, diff_end_, diff_weight_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Lerp&, const CallSite& site) {
  site.require_pass();
  return make_stored<LerpKernel>(site.storage(site.op.output), site);
}

std::unique_ptr<Kernel> make_kernel(const Add&, const CallSite& site) {
  // The gradient of both inputs is that of the output.
  if (site.call.kind != CallKind::kForward) site.no_kernel();
  const Binding& b = site.binding;
  return make_stored<AddKernel>(site.storage(site.op.output), elements_of(site, site.op.output),
                                b[Role::kSrc], b[Role::kSrc2], b[Role::kDst]);
}

std::unique_ptr<Kernel> make_kernel(const Scale& scale, const CallSite& site) {
  const bool forward = site.is_forward();
  const Binding& b = site.binding;
  return make_stored<ScaleKernel>(site.storage(site.op.output), elements_of(site, site.op.output),
                                  scale.alpha, b[forward ? Role::kSrc : Role::kDiffDst],
                                  b[forward ? Role::kDst : Role::kDiffSrc]);
}

std::unique_ptr<Kernel> make_kernel(const Activation&, const CallSite& site) {
  const Storage storage = site.storage(site.op.output);
  if (site.is_forward()) return make_stored<ActivationForward>(storage, site);
  return make_stored<ActivationBackward>(storage, site);
}

std::unique_ptr<Kernel> make_sum_kernel(const CallSite& site, ValueId value) {
  const Binding& b = site.binding;
  return make_stored<AddKernel>(site.storage(value), elements_of(site, value), b[Role::kDiffDst],
                                b[Role::kDiffDst2], b[Role::kDiffSrc]);
}

}  // namespace lockstep::cpu
