#pragma once
#include "layers/cpu/kernel_geometry.h"
#include "layers/ops/activations.h"

namespace lockstep::cpu {

/// An activation; `saved` is what its row in layers/ops/activations.h says that backward reads.
template <class T>
struct ActivationKernels {
  void (*forward)(std::size_t n, float alpha, const T* x, T* y);
  void (*backward)(std::size_t n, float alpha, const T* dy, const T* saved, T* dx);
};

/// Kernels over activations and their gradients that are stored as T, float or Bf16. All of them
/// compute in f32: a Bf16 is widened when it is read, and rounded to the nearest (of two the even
/// one; a NaN stays one) when it is written, once. Else the rules of Kernels.
template <class T>
struct StoredKernels {
  /// sums[0..C) += sum of x, sums[C..2C) += sum of x*x, per channel, in double. f32 inside is
  /// about a pivot (the mean of a few pixels), so that a mean far from zero does no harm.
  void (*channel_sums)(const Geometry&, int images, const T* x, double* sums);

  /// y = x*scale[c] + shift[c] (+ residual), then max(0, .) if relu. residual may be null.
  void (*norm_apply)(const Geometry&, int images, const T* x, const T* residual, T* y,
                     const float* scale, const float* shift, bool relu);

  /// g = (dy0 + dy1) where y > 0 (everywhere if y is null); dy1 may be null; g may be null only if
  /// dy1 and y are null (then g is dy0). sums[0..C) += sum g, sums[C..2C) += sum g*(x - mean[c]),
  /// both of g as it is before it is rounded.
  void (*norm_backward_sums)(const Geometry&, int images, const T* dy0, const T* dy1, const T* y,
                             const T* x, const float* mean, T* g, double* sums);

  /// dx = a[c]*g + b[c]*x + k[c].
  void (*norm_backward_data)(const Geometry&, int images, const T* g, const T* x, T* dx,
                             const float* a, const float* b, const float* k);

  /// dx = dy*factor[c], and sums[0..C) += sum of dy*x: the backward of y = x*factor[c].
  void (*factors_backward)(const Geometry&, int images, const T* dy, const T* x,
                           const float* factors, T* dx, double* sums);

  /// Every pixel over its channels, which lie side by side (block 0): y = (x - mean)/std * gamma[c]
  /// + beta[c]. saved: mean and 1/std, [2][pixels] of each image.
  void (*layer_norm)(const Geometry&, int images, const T* x, T* y, const float* gamma,
                     const float* beta, float eps, float* saved);
  /// Of one image: dx, and dgamma[c], dbeta[c] summed over its pixels.
  void (*layer_norm_backward)(const Geometry&, const T* dy, const T* x, const float* gamma,
                              const float* saved, T* dx, float* dgamma, float* dbeta);

  void (*add)(std::size_t n, const T* a, const T* b, T* dst);             // dst = a + b
  void (*add_floats)(std::size_t n, const T* a, const float* b, T* dst);  // dst = a + b
  void (*accumulate)(std::size_t n, const T* src, float* dst);            // dst += src
  void (*scale)(std::size_t n, const T* src, float factor, T* dst);       // dst = factor*src

  ActivationKernels<T> activations[kActivationCount];  // by kind

  /// dst = start + weight*(end - start); backward writes the gradients of the three.
  void (*lerp)(std::size_t n, const T* start, const T* end, const T* weight, T* dst);
  void (*lerp_backward)(std::size_t n, const T* dy, const T* start, const T* end, const T* weight,
                        T* dstart, T* dend, T* dweight);

  /// Window maximum; `index` gets the position inside the window (row-major, 0..kernel^2-1) per
  /// output.
  void (*max_pool)(const PoolGeometry&, int images, const T* x, T* y, std::uint8_t* index);
  void (*max_pool_backward)(const PoolGeometry&, int images, const T* dy, const std::uint8_t* index,
                            T* dx);
  /// The average leaves padding out of its count.
  void (*average_pool)(const PoolGeometry&, int images, const T* x, T* y);
  void (*average_pool_backward)(const PoolGeometry&, int images, const T* dy, T* dx);

  /// Bilinear enlargement by the whole factor `stride`; out sizes are in sizes times it.
  void (*upsample)(const PoolGeometry&, int images, const T* x, T* y);
  void (*upsample_backward)(const PoolGeometry&, int images, const T* dy, T* dx);

  /// y[N,C] = mean over pixels; its backward writes dy/pixels to every pixel.
  void (*global_average)(const Geometry&, int images, const T* x, float* y);
  void (*global_average_backward)(const Geometry&, int images, const float* dy, T* dx);

  /// Squeeze-excitation: y[n,c,p] = x[n,c,p]*gate[n,c]; backward dx = dy*gate, dgate = sum_p dy*x.
  void (*channel_scale)(const Geometry&, int images, const T* x, const float* gate, T* y);
  void (*channel_scale_backward_data)(const Geometry&, int images, const T* dy, const float* gate,
                                      T* dx);
  void (*channel_scale_backward_gate)(const Geometry&, int images, const T* dy, const T* x,
                                      float* dgate);

  /// sums[i] = sum of a*b over the n elements of image i, in double over pieces: a gate's gradient
  /// where it is one for all channels.
  void (*image_products)(std::size_t n, int images, const T* a, const T* b, float* sums);
};

}  // namespace lockstep::cpu
