#pragma once
#include "layers/gpu/device.h"
#include "layers/gpu/formulas.h"

namespace lockstep::gpu {

// What kernels share: stored elements, 16-byte packs, launches over elements.

__device__ inline float widened(float stored) { return stored; }
__device__ inline float widened(Bf16 stored) { return __bfloat162float(stored); }

template <class T>
__device__ T narrowed(float value);
template <>
__device__ inline float narrowed<float>(float value) {
  return value;
}
template <>
__device__ inline Bf16 narrowed<Bf16>(float value) {
  return __float2bfloat16_rn(value);
}

template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T at[V];
};

template <int V, class T>
__device__ Pack<T, V> load(const T* from) {
  return *reinterpret_cast<const Pack<T, V>*>(from);
}
template <int V, class T>
__device__ void store(T* to, const Pack<T, V>& pack) {
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

/// Elements of a 16-byte access.
template <class T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

template <class F>
__global__ void for_each_kernel(std::size_t n, F body) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += step)
    body(i);
}

/// Runs body(i) for i in [0, n), each by one thread.
template <class F>
void for_each(const Queue& queue, const char* name, std::size_t n, F body) {
  if (n == 0) return;
  const std::size_t blocks = (n + 255) / 256;
  for_each_kernel<<<static_cast<unsigned>(blocks < 65536 ? blocks : 65536), 256, 0,
                    queue.stream()>>>(n, body);
  check_launch(name);
}

/// Calls run(V) with the widest access that divides `count`: an integral constant.
template <class T, class Run>
void with_vector(std::size_t count, Run run) {
  if (count % kVector<T> == 0)
    run(std::integral_constant<int, kVector<T>>{});
  else
    run(std::integral_constant<int, 1>{});
}

/// Reduces over the 2^k threads of a block, in a fixed tree; all threads get the result. `shared`: one per
/// thread.
template <class Reduce>
__device__ double block_reduce(double value, double* shared, Reduce reduce) {
  shared[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half)
      shared[threadIdx.x] = reduce(shared[threadIdx.x], shared[threadIdx.x + half]);
    __syncthreads();
  }
  const double result = shared[0];
  __syncthreads();
  return result;
}

__device__ inline double block_sum(double value, double* shared) {
  return block_reduce(value, shared, [](double a, double b) { return a + b; });
}

__device__ inline double block_max(double value, double* shared) {
  return block_reduce(value, shared, [](double a, double b) { return fmax(a, b); });
}

}  // namespace lockstep::gpu
