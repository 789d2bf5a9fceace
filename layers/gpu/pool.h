#pragma once
#include <cstdint>

#include "layers/gpu/device.h"
#include "layers/gpu/formulas.h"

namespace lockstep::gpu {

// Pooling, nhwc. Backward gathers: every input pixel adds up its windows in a fixed order.

/// `index` [N,H',W',C]: the tap that was the maximum, the first of equals.
template <class T>
void max_pool(const Queue& queue, const PoolShape& shape, const T* src, T* dst,
              std::uint8_t* index);
template <class T>
void max_pool_backward(const Queue& queue, const PoolShape& shape, const T* diff_dst,
                       const std::uint8_t* index, T* diff_src);

/// Padding is not counted.
template <class T>
void average_pool(const Queue& queue, const PoolShape& shape, const T* src, T* dst);
template <class T>
void average_pool_backward(const Queue& queue, const PoolShape& shape, const T* diff_dst,
                           T* diff_src);

/// src [N,pixels,C] stored as T -> dst [N,C] in f32, and back.
template <class T>
void global_average(const Queue& queue, int images, int pixels, int channels, const T* src,
                    float* dst);
template <class T>
void global_average_backward(const Queue& queue, int images, int pixels, int channels,
                             const float* diff_dst, T* diff_src);

}  // namespace lockstep::gpu
