#include "layers/gpu/convolution.h"
#include "layers/gpu/kernels.cuh"

namespace lockstep::gpu {

template <class T>
void pack_weights(const Queue& queue, int out_channels, int channels, int taps,
                  const float* weights, T* packed) {
  const std::size_t n = static_cast<std::size_t>(out_channels) * channels * taps;
  for_each(queue, "pack weights", n, [=] __device__(std::size_t i) {
    const std::size_t c = i % channels, tap = i / channels % taps, k = i / channels / taps;
    packed[i] = narrowed<T>(weights[(k * channels + c) * taps + tap]);
  });
}

template <class T>
void fold_gradient(const Queue& queue, int out_channels, int channels, int taps, const T* packed,
                   bool first, float* gradient) {
  const std::size_t n = static_cast<std::size_t>(out_channels) * channels * taps;
  for_each(queue, "fold gradient", n, [=] __device__(std::size_t i) {
    const std::size_t tap = i % taps, c = i / taps % channels, k = i / taps / channels;
    const float value = widened(packed[(k * taps + tap) * channels + c]);
    gradient[i] = first ? value : gradient[i] + value;
  });
}

#define LOCKSTEP_STORED(T)                                                   \
  template void pack_weights(const Queue&, int, int, int, const float*, T*); \
  template void fold_gradient(const Queue&, int, int, int, const T*, bool, float*);
LOCKSTEP_STORED(float)
LOCKSTEP_STORED(Bf16)

}  // namespace lockstep::gpu
