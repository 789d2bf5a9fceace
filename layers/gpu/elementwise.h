#pragma once
#include <cstdint>

#include "layers/gpu/device.h"
#include "layers/ops/dropout.h"
#include "layers/ops/stochastic_depth.h"

namespace lockstep::gpu {

// Ops on single elements; T is float or Bf16, arithmetic is f32. Pointers are aligned to 16 bytes.

template <class T>
void relu(const Queue& queue, std::size_t n, const T* src, T* dst);
/// diff_src = dst > 0 ? diff_dst : 0.
template <class T>
void relu_backward(const Queue& queue, std::size_t n, const T* dst, const T* diff_dst, T* diff_src);
/// dst = a + b, with ReLU if asked for.
template <class T>
void add(const Queue& queue, std::size_t n, const T* a, const T* b, T* dst, bool relu);
template <class T>
void scale(const Queue& queue, std::size_t n, float alpha, const T* src, T* dst);

/// What keys the draws of an op in one step; `positions`: of each image, device memory.
struct Draws {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  int op = 0;
  const std::int64_t* positions = nullptr;
};

/// Forward and backward are one map; the masks of layers/cpu/random.cpp, bit for bit.
template <class T>
void dropout(const Queue& queue, const Dropout& dropout, const Draws& draws, int images,
             std::size_t image_elements, const T* from, T* to);
template <class T>
void stochastic_depth(const Queue& queue, const StochasticDepth& depth, const Draws& draws,
                      int images, std::size_t image_elements, const T* from, T* to);

}  // namespace lockstep::gpu
