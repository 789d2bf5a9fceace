#pragma once
#include "layers/gpu/device.h"
#include "layers/gpu/formulas.h"

namespace lockstep::gpu {

/// Elements of one partial sum of squares.
constexpr std::size_t kNormBlock = 16384;

/// kGradientNorm: partial [ceil(n / kNormBlock)] sums of squares.
void gradient_norm(const Queue& queue, std::size_t n, const float* gradients, double* partial);

/// kFinishGradientNorm: sums = [norm, factor that clips it, 1 if the update is held]. A limit of 0 is none.
void finish_gradient_norm(const Queue& queue, std::size_t blocks, const double* partial,
                          double clip_norm, double norm_limit, double* sums);

/// kUpdate of n elements of one weight decay; `sums` as above, on the device.
void sgd_update(const Queue& queue, std::size_t n, const SgdOptions& options, const double* sums,
                const float* gradients, float* momentum, float* weights);

}  // namespace lockstep::gpu
