#include <cmath>
#include <numbers>

#include "layers/backward.h"
#include "layers/cpu/bf16.h"
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

float gelu(float x) { return 0.5f * x * (1.0f + std::erf(x * std::numbers::sqrt2_v<float> * 0.5f)); }

float gelu_slope(float x) {
  const float cdf = 0.5f * (1.0f + std::erf(x * std::numbers::sqrt2_v<float> * 0.5f));
  const float density =
      std::exp(-0.5f * x * x) * std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>;
  return cdf + x * density;
}

float activate(const Activation& a, float x) {
  switch (a.kind) {
    case ActivationKind::kRelu: return x < 0 ? 0 : x;
    case ActivationKind::kLeakyRelu: return x < 0 ? a.alpha * x : x;
    case ActivationKind::kElu: return x < 0 ? a.alpha * std::expm1(x) : x;
    case ActivationKind::kGelu: return gelu(x);
    case ActivationKind::kSigmoid: return 1.0f / (1.0f + std::exp(-x));
  }
  return x;
}

/// Slope from what backward keeps: the input of GELU and of a LeakyReLU with a negative slope (their
/// `saved` is x), else the output.
float slope(const Activation& a, float saved) {
  switch (a.kind) {
    case ActivationKind::kRelu: return saved > 0 ? 1.0f : 0.0f;
    case ActivationKind::kLeakyRelu: return saved > 0 ? 1.0f : a.alpha;
    case ActivationKind::kElu: return saved > 0 ? 1.0f : saved + a.alpha;
    case ActivationKind::kGelu: return gelu_slope(saved);
    case ActivationKind::kSigmoid: return saved * (1.0f - saved);
  }
  return 1.0f;
}

template <class T>
class ActivationForward : public Kernel {
 public:
  explicit ActivationForward(const CallSite& site)
      : activation_(std::get<Activation>(site.op.attributes)),
        elements_(elements_of(site, site.op.output)), src_(site.binding[Role::kSrc]),
        dst_(site.binding[Role::kDst]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const std::size_t n = count(elements_, range);
    const T* x = src_.at<T>(lane, range);
    T* y = dst_.at<T>(lane, range);
    if (activation_.kind == ActivationKind::kRelu) {
      stored_kernels<T>().relu(n, x, y);
      return;
    }
    for (std::size_t i = 0; i < n; ++i) y[i] = rounded<T>(activate(activation_, widened(x[i])));
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
        diff_dst_(site.binding[Role::kDiffDst]), diff_src_(site.binding[Role::kDiffSrc]) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const std::size_t n = count(elements_, range);
    const T *saved = saved_.at<T>(lane, range), *dy = diff_dst_.at<T>(lane, range);
    T* dx = diff_src_.at<T>(lane, range);
    if (activation_.kind == ActivationKind::kRelu) {
      stored_kernels<T>().relu_backward(n, dy, saved, dx);
      return;
    }
    for (std::size_t i = 0; i < n; ++i)
      dx[i] = rounded<T>(widened(dy[i]) * slope(activation_, widened(saved[i])));
  }

 private:
  Activation activation_;
  std::size_t elements_;
  Memory saved_, diff_dst_, diff_src_;
};

}  // namespace

std::unique_ptr<Kernel> make_elementwise_kernel(const CallSite& site) {
  const bool forward = site.call.kind == CallKind::kForward;
  if (!forward && site.call.kind != CallKind::kBackwardData) site.no_kernel();
  const Binding& b = site.binding;
  const Storage storage = site.storage(site.op.output);
  if (std::holds_alternative<Add>(site.op.attributes)) {
    if (!forward) site.no_kernel();  // the gradient of both inputs is that of the output
    return make_stored<AddKernel>(storage, elements_of(site, site.op.output), b[Role::kSrc],
                                  b[Role::kSrc2], b[Role::kDst]);
  }
  if (const auto* scale = std::get_if<Scale>(&site.op.attributes))
    return make_stored<ScaleKernel>(storage, elements_of(site, site.op.output), scale->alpha,
                                    b[forward ? Role::kSrc : Role::kDiffDst],
                                    b[forward ? Role::kDst : Role::kDiffSrc]);
  if (forward) return make_stored<ActivationForward>(storage, site);
  return make_stored<ActivationBackward>(storage, site);
}

std::unique_ptr<Kernel> make_sum_kernel(const CallSite& site, ValueId value) {
  const Binding& b = site.binding;
  return make_stored<AddKernel>(site.storage(value), elements_of(site, value), b[Role::kDiffDst],
                                b[Role::kDiffDst2], b[Role::kDiffSrc]);
}

}  // namespace lockstep::cpu
