#pragma once
// Activations and gated skips. See kernels_impl.h.
#include "layers/cpu/kernels_elementwise.h"
#include "layers/cpu/kernels_exponential.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

// An activation: its value at x, and its input's gradient from the output's, dy, and what backward reads.

struct Relu {
  static constexpr ActivationKind kKind = ActivationKind::kRelu;
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> value(Floats<W> x, float) {
    return rectified<W>(x);
  }
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> gradient(Floats<W> dy, Floats<W> y, float) {
    return where_positive<W>(y, dy);
  }
};

/// Backward reads x if alpha is negative: the sign of both is the same else.
struct LeakyRelu {
  static constexpr ActivationKind kKind = ActivationKind::kLeakyRelu;
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> value(Floats<W> x, float alpha) {
    const Floats<W> zero{};
    return x >= zero ? x : alpha * x;
  }
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> gradient(Floats<W> dy, Floats<W> saved, float alpha) {
    const Floats<W> zero{};
    return saved > zero ? dy : dy * alpha;
  }
};

struct Elu {
  static constexpr ActivationKind kKind = ActivationKind::kElu;
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> value(Floats<W> x, float alpha) {
    for (int i = 0; i < W; ++i)
      if (!(x[i] >= 0)) x[i] = alpha * __builtin_expm1f(x[i]);
    return x;
  }
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> gradient(Floats<W> dy, Floats<W> y, float alpha) {
    const Floats<W> zero{};
    return y > zero ? dy : dy * (y + alpha);
  }
};

/// x * Phi(x), Phi within 1e-7 of the normal distribution's.
struct Gelu {
  static constexpr ActivationKind kKind = ActivationKind::kGelu;
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> value(Floats<W> x, float) {
    return x * normal<W>(x).below;
  }
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> gradient(Floats<W> dy, Floats<W> x, float) {
    const Normal<W> at = normal<W>(x);
    return dy * (at.below + 0.39894228f * x * at.density);
  }
};

/// 1/(1 + e^-x).
struct Sigmoid {
  static constexpr ActivationKind kKind = ActivationKind::kSigmoid;
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> value(Floats<W> x, float) {
    const Floats<W> one = broadcast<W>(1.0f);
    return one / (one + exponential<W>(-x));
  }
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> gradient(Floats<W> dy, Floats<W> y, float) {
    return dy * (y - y * y);
  }
};

/// x * min(max(x + 3, 0), 6) / 6.  Howard et al. 2019, arXiv:1905.02244.
struct Hardswish {
  static constexpr ActivationKind kKind = ActivationKind::kHardswish;
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> value(Floats<W> x, float) {
    const Floats<W> zero{}, three = broadcast<W>(3.0f);
    const Floats<W> above = x >= three ? x : x * (x + three) * (1.0f / 6);
    return x <= -three ? zero : above;
  }
  template <int W>
  LOCKSTEP_INLINE static inline Floats<W> gradient(Floats<W> dy, Floats<W> x, float) {
    const Floats<W> zero{}, three = broadcast<W>(3.0f);
    const Floats<W> above = x > three ? dy : dy * (x * (1.0f / 3) + 0.5f);
    return x <= -three ? zero : above;
  }
};

template <class A, class T>
void activate(size_t n, float alpha, const T* x, T* y) {
  over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE {
    store<W>(y + i, A::template value<W>(load<W>(x + i), alpha));
  });
}

template <class A, class T>
void activate_backward(size_t n, float alpha, const T* dy, const T* saved, T* dx) {
  over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE {
    store<W>(dx + i, A::template gradient<W>(load<W>(dy + i), load<W>(saved + i), alpha));
  });
}

template <class... A>
struct ActivationList {
  static constexpr bool is_by_kind() {
    int i = 0;
    return sizeof...(A) == kActivationCount && ((static_cast<int>(A::kKind) == i++) && ...);
  }
  template <class T>
  static constexpr StoredKernels<T> with(StoredKernels<T> kernels) {
    int i = 0;
    ((kernels.activations[i++] = {activate<A, T>, activate_backward<A, T>}), ...);
    return kernels;
  }
};

/// Every row of layers/ops/activations.h has its formulas here.
using Activations = ActivationList<Relu, LeakyRelu, Elu, Gelu, Sigmoid, Hardswish>;
static_assert(Activations::is_by_kind());

template <class T>
void lerp(size_t n, const T* start, const T* end, const T* weight, T* dst) {
  over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE {
    const Floats<W> from = load<W>(start + i);
    store<W>(dst + i, from + load<W>(weight + i) * (load<W>(end + i) - from));
  });
}

template <class T>
void lerp_backward(size_t n, const T* dy, const T* start, const T* end, const T* weight, T* dstart,
                   T* dend, T* dweight) {
  over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE {
    const Floats<W> diff = load<W>(dy + i), transformed = diff * load<W>(weight + i);
    const Floats<W> apart = load<W>(end + i) - load<W>(start + i);
    store<W>(dstart + i, diff - transformed);
    store<W>(dend + i, transformed);
    store<W>(dweight + i, diff * apart);
  });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
