#include "layers/gpu/loss.h"

#include "layers/gpu/kernels.cuh"

namespace lockstep::gpu {

namespace {

constexpr int kThreads = 128;

/// One block an image. A NaN among the logits: the loss is NaN, the image is not counted as correct.
__global__ void loss_kernel(LossShape s, const float* logits, const std::int32_t* labels,
                            double divisor, double* per_image, float* diff_src) {
  __shared__ double shared[kThreads];
  const float* z = logits + static_cast<std::size_t>(blockIdx.x) * s.classes;
  const int label = labels[blockIdx.x];
  double own = -INFINITY;
  for (int c = threadIdx.x; c < s.classes; c += kThreads)
    own = fmax(own, static_cast<double>(z[c]));
  const double maximum = block_max(own, shared);
  double sum = 0, better = 0;
  for (int c = threadIdx.x; c < s.classes; c += kThreads) {
    sum += exp(z[c] - maximum);
    better += z[c] > z[label] || (z[c] == z[label] && c < label) ? 1.0 : 0.0;
    if (isnan(z[c])) better += s.classes;
  }
  const double log_total = maximum + log(block_sum(sum, shared));
  better = block_sum(better, shared);
  double all = 0;
  if (s.smoothing > 0)
    for (int c = threadIdx.x; c < s.classes; c += kThreads) all += log_total - z[c];
  all = block_sum(all, shared);
  if (threadIdx.x == 0) {
    double* to = per_image + static_cast<std::size_t>(blockIdx.x) * 4;
    to[0] = smoothed_loss(log_total, z[label], all, s.smoothing, s.classes);
    const bool known = better < s.classes;
    to[1] = known && better < 1 ? 1 : 0;
    to[2] = known && better < 5 ? 1 : 0;
    to[3] = 1;
  }
  if (!diff_src) return;
  float* diff = diff_src + static_cast<std::size_t>(blockIdx.x) * s.classes;
  for (int c = threadIdx.x; c < s.classes; c += kThreads)
    diff[c] = loss_gradient(z[c], log_total, c == label, s.smoothing, s.classes, divisor);
}

__global__ void combine_kernel(int images, const double* per_image, bool first, double* sums) {
  __shared__ double shared[kThreads];
  for (int k = 0; k < 4; ++k) {
    double own = 0;
    for (int i = threadIdx.x; i < images; i += kThreads)
      own += per_image[static_cast<std::size_t>(i) * 4 + k];
    own = block_sum(own, shared);
    if (threadIdx.x == 0) sums[k] = first ? own : sums[k] + own;
  }
}

}  // namespace

void softmax_loss(const Queue& queue, const LossShape& shape, const float* logits,
                  const std::int32_t* labels, double divisor, double* per_image, float* diff_src) {
  if (shape.images == 0) return;
  loss_kernel<<<shape.images, kThreads, 0, queue.stream()>>>(shape, logits, labels, divisor,
                                                             per_image, diff_src);
  check_launch("softmax cross entropy");
}

void combine_loss(const Queue& queue, int images, const double* per_image, bool first,
                  double* sums) {
  combine_kernel<<<1, kThreads, 0, queue.stream()>>>(images, per_image, first, sums);
  check_launch("combine loss");
}

}  // namespace lockstep::gpu
