#pragma once
#include <cstddef>
#include <cstdint>

namespace lockstep::cpu {

/// Where the elements of `images` images lie. block = 0: [N,H,W,C]; else [N,C/block,H,W,block],
/// channels a multiple of block. No alignment beyond 4 bytes may be assumed for x + image * size.
struct Geometry {
  int channels = 0;
  int pixels = 1;  // H*W
  int block = 0;
  std::size_t image_elements() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(pixels);
  }
};

/// Pooling window over [H,W] -> [H',W'].
struct PoolGeometry {
  int channels = 0, height = 0, width = 0, block = 0;
  int out_height = 0, out_width = 0;
  int kernel = 1, stride = 1, padding = 0;
};

/// A 3x3 convolution of stride 1 and padding 1: both tensors are height x width. Channels are
/// multiples of 16, block 0 or a multiple of the vectors' width.
struct WinogradGeometry {
  int in_channels = 0, out_channels = 0, height = 0, width = 0;
  int block = 0;  // of both tensors
  std::size_t weights() const {
    return static_cast<std::size_t>(in_channels) * static_cast<std::size_t>(out_channels);
  }
};

/// Winograd's F(4x4, 3x3): 36 products a tile of 4x4 results. Tiles at a time, and floats between
/// the 36 planes of a buffer beyond their contents: planes a power of two apart would all want the
/// same lines of the cache.
constexpr std::size_t kWinogradProducts = 36;
constexpr std::size_t kWinogradTiles = 48;
constexpr std::size_t kWinogradGap = 16;

struct SgdOptions {
  float learning_rate = 0, momentum = 0, weight_decay = 0, gradient_scale = 1;
  bool nesterov = false;
};

/// bfloat16: the upper half of a float, of the same range, with 8 bits of precision instead of 24.
struct Bf16 {
  std::uint16_t bits;
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

  void (*add)(std::size_t n, const T* a, const T* b, T* dst);        // dst = a + b
  void (*scale)(std::size_t n, const T* src, float factor, T* dst);  // dst = factor*src

  void (*relu)(std::size_t n, const T* x, T* y);
  void (*relu_backward)(std::size_t n, const T* dy, const T* y, T* dx);  // dy where y > 0

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
};

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
