#pragma once
// Activations and gated skips. See kernels_impl.h.
#include "layers/cpu/kernels_elementwise.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// e^v within two units in the last place, for v from -87.3 to 88; beyond these as there. NaN stays
/// NaN. v = n*ln 2 + r with |r| <= ln 2 / 2; e^r is its Taylor series, 2^n goes into the exponent.
template <int W>
LOCKSTEP_INLINE inline Floats<W> exponential(Floats<W> v) {
  const Floats<W> least = broadcast<W>(-87.3f), most = broadcast<W>(88.0f);
  v = v < least ? least : v;
  v = v > most ? most : v;
  // In the sum the last bits of the mantissa are v/ln 2, rounded to a whole number.
  const Floats<W> shifted = v * 1.44269504f + 12582912.0f;
  const Floats<W> n = shifted - 12582912.0f;
  const Floats<W> r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats<W> sum = broadcast<W>(1.0f / 5040);
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  return (Floats<W>)((Words<W>)sum + ((Words<W>)shifted << 23));
}

/// The normal distribution at x and, times sqrt(2 pi), its density.
template <int W>
struct Normal {
  Floats<W> below, density;
};

/// By Abramowitz & Stegun 7.1.26: the complementary error function is a polynomial times e^-a^2.
template <int W>
LOCKSTEP_INLINE inline Normal<W> normal(Floats<W> x) {
  const Floats<W> zero{}, one = broadcast<W>(1.0f);
  const Floats<W> size = x < zero ? -x : x;
  const Floats<W> t = one / (one + 0.3275911f * 0.70710678f * size);
  Floats<W> sum = broadcast<W>(1.061405429f);
  sum = sum * t - 1.453152027f;
  sum = sum * t + 1.421413741f;
  sum = sum * t - 0.284496736f;
  sum = sum * t + 0.254829592f;
  const Floats<W> density = exponential<W>(-0.5f * x * x);
  const Floats<W> tail = 0.5f * sum * t * density;
  return {x < zero ? tail : one - tail, density};
}

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
