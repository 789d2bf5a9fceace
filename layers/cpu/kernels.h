#pragma once
#include "layers/cpu/stored_kernels.h"

namespace lockstep::cpu {

/// Our own kernels, one table per instruction set. Every function runs on the calling thread, on
/// f32, and gives the same bits for the same input on the same table. Pointers may be equal where a
/// function reads and writes element by element; else they must not overlap.
/// Sums are accumulated in f32 over at most some thousands of elements about a pivot that keeps
/// them safe, then in double.
struct Kernels {
  const char* name;  // "baseline", "avx2", "avx512"
  int width;         // floats of a vector

  StoredKernels<float> f32;
  StoredKernels<Bf16> bf16;

  /// dx = p * (dy - sum of p*dy) of every row of n: the gradient of a softmax p. dx may be dy.
  void (*softmax_backward)(std::size_t rows, std::size_t n, const float* p, const float* dy,
                           float* dx);

  void (*round_to_bf16)(std::size_t n, const float* src, Bf16* dst);
  void (*accumulate)(std::size_t n, const float* src, float* dst);  // dst += src

  /// transformed[36 planes][in][out] of weights [out,in,3,3]. With `transposed`, those of the data
  /// gradient: `g` is then the convolution from its output to its input.
  void (*winograd_weights)(const WinogradGeometry& g, bool transposed, const float* weights,
                           float* transformed);
  /// dst = src * weights. scratch: 36 planes of kWinogradTiles * (in + out channels), each with two
  /// gaps; it may hold anything.
  void (*winograd_convolve)(const WinogradGeometry& g, int images, const float* src,
                            const float* transformed, float* dst, float* scratch);
  /// gradient[3*3][in][out] = (or +=, with `add`) that of the weights. scratch: as above, and 36
  /// planes of in * out with a gap.
  void (*winograd_weight_gradient)(const WinogradGeometry& g, int images, const float* src,
                                   const float* diff_dst, float* gradient, bool add,
                                   float* scratch);

  /// Sum of squares in double of n floats: one update block (layers/layout.h).
  double (*sum_of_squares)(std::size_t n, const float* x);

  /// PyTorch's SGD on n contiguous elements: g' = g*gradient_scale + weight_decay*w;
  /// v = momentum*v + g'; w -= learning_rate * (nesterov ? g' + momentum*v : v).
  void (*sgd)(std::size_t n, const SgdOptions&, const float* g, float* v, float* w);

  /// PyTorch's AdamW, with g' = g*gradient_scale: m += rest1*(g' - m); v = beta2*v + rest2*g'*g';
  /// w = kept*w - step_size * m / (sqrt(v)*inverse_root + eps).
  void (*adamw)(std::size_t n, const AdamWOptions&, const float* g, float* m, float* v, float* w);
};

/// The best table that this CPU runs, or the one that `limit` ("avx512", "avx2", "baseline")
/// allows.
const Kernels& kernels_for(const char* limit);

/// The table in use: set once at start by use_kernels() (default: the best), then fixed.
const Kernels& kernels();
void use_kernels(const Kernels& table);

/// Flushes denormals in the calling thread (FTZ/DAZ): they cost several times a step otherwise.
void flush_denormals();

}  // namespace lockstep::cpu
