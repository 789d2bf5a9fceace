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

/// One update of AdamW; what depends on the step is worked out once, in double.
struct AdamWOptions {
  float kept = 1;                         // of a weight: 1 - learning_rate * weight_decay
  float rest1 = 1, beta2 = 0, rest2 = 1;  // rest: 1 - beta
  float step_size = 0;                    // learning_rate / (1 - beta1^t)
  float inverse_root = 1, eps = 0;        // 1 / sqrt(1 - beta2^t)
  float gradient_scale = 1;
};

/// bfloat16: the upper half of a float, of the same range, with 8 bits of precision instead of 24.
struct Bf16 {
  std::uint16_t bits;
};

}  // namespace lockstep::cpu
