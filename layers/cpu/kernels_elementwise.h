#pragma once
// Elementwise over n contiguous numbers. See kernels_impl.h.
#include "layers/cpu/kernels_bf16.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// Calls f.operator()<W>(i) for vectors that cover [0, n).
template <class F>
LOCKSTEP_INLINE inline void over_vectors(size_t n, const F& f) {
  for_each_strip(n, [&]<int W, int N>(size_t begin) LOCKSTEP_INLINE {
    LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) f.template operator()<W>(begin + v * W);
  });
}

template <class T>
void add(size_t n, const T* a, const T* b, T* dst) {
  over_vectors(n, [&]<int W>(size_t i)
                      LOCKSTEP_INLINE { store<W>(dst + i, load<W>(a + i) + load<W>(b + i)); });
}

template <class T>
void add_floats(size_t n, const T* a, const float* b, T* dst) {
  over_vectors(n, [&]<int W>(size_t i)
                      LOCKSTEP_INLINE { store<W>(dst + i, load<W>(a + i) + load<W>(b + i)); });
}

template <class T>
void accumulate(size_t n, const T* src, float* dst) {
  over_vectors(n, [&]<int W>(size_t i)
                      LOCKSTEP_INLINE { store<W>(dst + i, load<W>(dst + i) + load<W>(src + i)); });
}

template <class T>
void scale(size_t n, const T* src, float factor, T* dst) {
  over_vectors(
      n, [&]<int W>(size_t i) LOCKSTEP_INLINE { store<W>(dst + i, factor * load<W>(src + i)); });
}

void round_to_bf16(size_t n, const float* src, Bf16* dst) {
  over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE { store<W>(dst + i, load<W>(src + i)); });
}

/// In double from the start: the norm of an exploding gradient must not overflow, nor a tiny one
/// vanish, before it is clipped.
double sum_of_squares(size_t n, const float* x) {
  constexpr int kLanes = kWidth / 2;  // as doubles these fill a register
  constexpr int kChains = 8;
  using Source = Floats<kLanes>;
  using Wide = Doubles<kLanes>;
  Wide sums[kChains] = {};
  size_t i = 0;
  for (; i + kLanes * kChains <= n; i += kLanes * kChains) {
    LOCKSTEP_UNROLL for (int chain = 0; chain < kChains; ++chain) {
      Source source;
      __builtin_memcpy(&source, x + i + chain * kLanes, sizeof source);
      const Wide wide = __builtin_convertvector(source, Wide);
      sums[chain] += wide * wide;
    }
  }
  Wide total = sums[0];
  LOCKSTEP_UNROLL for (int chain = 1; chain < kChains; ++chain) total += sums[chain];
  double result = 0;
  for (int lane = 0; lane < kLanes; ++lane) result += total[lane];
  for (; i < n; ++i) result += static_cast<double>(x[i]) * x[i];
  return result;
}

template <bool kNesterov>
void sgd_step(size_t n, const SgdOptions& options, const float* g, float* v, float* w) {
  const float rate = options.learning_rate, momentum = options.momentum;
  const float decay = options.weight_decay, gradient_scale = options.gradient_scale;
  over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE {
    const Floats<W> weight = load<W>(w + i);
    const Floats<W> gradient = load<W>(g + i) * gradient_scale + decay * weight;
    const Floats<W> velocity = momentum * load<W>(v + i) + gradient;
    store<W>(v + i, velocity);
    const Floats<W> step = kNesterov ? gradient + momentum * velocity : velocity;
    store<W>(w + i, weight - rate * step);
  });
}

void sgd(size_t n, const SgdOptions& options, const float* g, float* v, float* w) {
  options.nesterov ? sgd_step<true>(n, options, g, v, w) : sgd_step<false>(n, options, g, v, w);
}

template <int W>
LOCKSTEP_INLINE inline Floats<W> square_root(Floats<W> x) {
  float values[W];
  __builtin_memcpy(values, &x, sizeof x);
  LOCKSTEP_UNROLL for (int i = 0; i < W; ++i) values[i] = __builtin_sqrtf(values[i]);
  __builtin_memcpy(&x, values, sizeof x);
  return x;
}

void adamw(size_t n, const AdamWOptions& options, const float* g, float* m, float* v, float* w) {
  const AdamWOptions o = options;
  over_vectors(n, [&]<int W>(size_t i) LOCKSTEP_INLINE {
    const Floats<W> gradient = load<W>(g + i) * o.gradient_scale;
    const Floats<W> mean = load<W>(m + i);
    const Floats<W> first = mean + o.rest1 * (gradient - mean);
    const Floats<W> second = o.beta2 * load<W>(v + i) + o.rest2 * (gradient * gradient);
    store<W>(m + i, first);
    store<W>(v + i, second);
    const Floats<W> step = first / (square_root<W>(second) * o.inverse_root + o.eps);
    store<W>(w + i, o.kept * load<W>(w + i) - o.step_size * step);
  });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
