#include "layers/gpu/update.h"

#include "layers/gpu/kernels.cuh"

namespace lockstep::gpu {

namespace {

constexpr int kThreads = 256;

__global__ void squares_kernel(std::size_t n, const float* gradients, double* partial) {
  __shared__ double shared[kThreads];
  const std::size_t begin = blockIdx.x * kNormBlock;
  const std::size_t end = begin + kNormBlock < n ? begin + kNormBlock : n;
  double own = 0;
#pragma unroll 8
  for (std::size_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double g = gradients[i];
    own += g * g;
  }
  own = block_sum(own, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = own;
}

__global__ void finish_kernel(std::size_t blocks, const double* partial, double clip_norm,
                              double norm_limit, double* sums) {
  __shared__ double shared[kThreads];
  double own = 0;
  for (std::size_t i = threadIdx.x; i < blocks; i += kThreads) own += partial[i];
  const double norm = sqrt(block_sum(own, shared));
  if (threadIdx.x != 0) return;
  sums[0] = norm;
  sums[1] = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1.0;
  sums[2] = norm_limit > 0 && !(norm <= norm_limit) ? 1.0 : 0.0;
}

}  // namespace

void gradient_norm(const Queue& queue, std::size_t n, const float* gradients, double* partial) {
  if (n == 0) return;
  squares_kernel<<<static_cast<unsigned>((n + kNormBlock - 1) / kNormBlock), kThreads, 0,
                   queue.stream()>>>(n, gradients, partial);
  check_launch("gradient norm");
}

void finish_gradient_norm(const Queue& queue, std::size_t blocks, const double* partial,
                          double clip_norm, double norm_limit, double* sums) {
  finish_kernel<<<1, kThreads, 0, queue.stream()>>>(blocks, partial, clip_norm, norm_limit, sums);
  check_launch("finish gradient norm");
}

void sgd_update(const Queue& queue, std::size_t n, const SgdOptions& options, const double* sums,
                const float* gradients, float* momentum, float* weights) {
  for_each(queue, "update", n, [=] __device__(std::size_t i) {
    if (sums[2] != 0) return;
    float velocity = momentum[i], weight = weights[i];
    sgd_element(options, static_cast<float>(sums[1]), gradients[i], velocity, weight);
    momentum[i] = velocity;
    weights[i] = weight;
  });
}

}  // namespace lockstep::gpu
