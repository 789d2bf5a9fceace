#pragma once
#include <cstdint>

#include "layers/gpu/device.h"
#include "layers/gpu/formulas.h"
#include "layers/ops/batch_norm.h"

namespace lockstep::gpu {

// Batch norm in the phases of layers/call.h; nhwc, `rows` = images * pixels. Buffers, C channels:
//   partial      double [chunks][2C]  sums of chunks of rows (norm_partial_bytes)
//   sums         double [2C + 1]      their total, then over ranks; last: images
//   affine       float  [4C]          scale, shift, mean, 1/std
//   coefficients float  [3C]          diff_src = a*masked + b*src + k

struct NormShape {
  int images = 0, pixels = 0, channels = 0;
  std::int64_t rows() const { return static_cast<std::int64_t>(images) * pixels; }
};

std::size_t norm_partial_bytes(const NormShape& shape, std::size_t element_bytes);

/// kStatistics: src -> partial: sum x, sum x^2.
template <class T>
void norm_statistics(const Queue& queue, const NormShape& shape, const T* src, double* partial);

/// kCombineStatistics: partial -> sums, chunks in their order.
template <class T>
void norm_combine(const Queue& queue, const NormShape& shape, const double* partial, double* sums);

struct NormParameters {
  const float *gamma = nullptr, *beta = nullptr;
  float *running_mean = nullptr, *running_var = nullptr;
};

/// kFinishStatistics: sums -> affine; running statistics too if asked for.
void norm_finish(const Queue& queue, const BatchNorm& norm, const NormShape& shape,
                 const double* sums, const NormParameters& parameters, bool update_running,
                 float* affine);

/// kRunningStatistics: evaluation.
void norm_from_running(const Queue& queue, const BatchNorm& norm, int channels,
                       const NormParameters& parameters, float* affine);

/// kForward: dst = src*scale + shift [+ residual] [ReLU]; residual may be null.
template <class T>
void norm_apply(const Queue& queue, const NormShape& shape, const T* src, const T* residual,
                const float* affine, bool relu, T* dst);

/// kBackwardSums: masked = (diff_dst [+ diff_dst2]) where dst > 0; partial: sum g, sum g*(x - mean).
/// diff_dst2, dst and masked may be null: no second consumer, no ReLU, masked not wanted.
template <class T>
struct NormBackward {
  const T *diff_dst = nullptr, *diff_dst2 = nullptr, *dst = nullptr, *src = nullptr;
  const float* affine = nullptr;
  T* masked = nullptr;
};
template <class T>
void norm_backward_sums(const Queue& queue, const NormShape& shape, const NormBackward<T>& tensors,
                        double* partial);

/// kCombineBackward: sums, and this rank's gradients of gamma and beta, written or added.
template <class T>
void norm_combine_backward(const Queue& queue, const NormShape& shape, const double* partial,
                           const float* affine, bool first, double* sums, float* gamma_gradient,
                           float* beta_gradient);

/// kFinishBackward.
void norm_finish_backward(const Queue& queue, const NormShape& shape, const double* sums,
                          const float* gamma, const float* affine, float* coefficients);

/// kBackwardData: diff_src = a*masked + b*src + k.
template <class T>
void norm_backward_data(const Queue& queue, const NormShape& shape, const T* masked, const T* src,
                        const float* coefficients, T* diff_src);

}  // namespace lockstep::gpu
