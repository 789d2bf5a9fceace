#pragma once
// 3x3 convolutions by Winograd's F(4x4, 3x3): a tile of 4x4 results costs 36 products a pair of
// channels instead of 144; for a block of tiles 36 matrix products in L2. See kernels_impl.h.
#include "layers/cpu/kernels_product.h"
#include "layers/cpu/kernels_winograd_tensors.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

// Rows of two vectors: of tiles (divides kWinogradTiles), of channels for weight gradients.
constexpr int kTileRows = kWidth == 16 ? 12 : 6;
constexpr int kChannelRows = kWidth == 16 ? 8 : 4;

constexpr auto kPixels = [](const auto& from, const auto& to)
                             LOCKSTEP_INLINE { transform_pixel_tile(from, to); };
constexpr auto kGradients = [](const auto& from, const auto& to) LOCKSTEP_INLINE {
  transform_tile<4, 6>([](const Vector(&y)[4], Vector(&m)[6])
                           LOCKSTEP_INLINE { transform_gradients(y, m); },
                       from, to);
};

/// `tiles` tiles from `tile` on: [36 planes][tile][channel].
LOCKSTEP_INLINE inline void transform_src(const Plane& plane, size_t channels, const float* src,
                                          Tile tile, size_t tiles, float* to, size_t stride) {
  for (size_t t = 0; t < tiles; ++t, tile.next(plane)) {
    const float* image = src + tile.image * plane.image;
    for (size_t c = 0; c < channels; c += kWidth) {
      transform_in<6>(kPixels, plane, image + plane.channel(c), tile.y - 1, tile.x - 1,
                      {to + t * channels + c, stride});
    }
  }
}

LOCKSTEP_INLINE inline void transform_diff_dst(const Plane& plane, size_t channels,
                                               const float* diff_dst, Tile tile, size_t tiles,
                                               float* to, size_t stride) {
  for (size_t t = 0; t < tiles; ++t, tile.next(plane)) {
    const float* image = diff_dst + tile.image * plane.image;
    for (size_t c = 0; c < channels; c += kWidth) {
      transform_in<4>(kGradients, plane, image + plane.channel(c), tile.y, tile.x,
                      {to + t * channels + c, stride});
    }
  }
}

/// The way back: products [36 planes][tile][channel] -> pixels, as far as they lie in the image.
LOCKSTEP_INLINE inline void transform_dst(const Plane& plane, size_t channels, const float* from,
                                          size_t stride, Tile tile, size_t tiles, float* dst) {
  const size_t row = plane.width * plane.pixel;
  for (size_t t = 0; t < tiles; ++t, tile.next(plane)) {
    const int rows = plane.height - tile.y, columns = plane.width - tile.x;
    for (size_t c = 0; c < channels; c += kWidth) {
      const float* products = from + t * channels + c;
      float* first =
          dst + tile.image * plane.image + plane.channel(c) + tile.y * row + tile.x * plane.pixel;
      transform_tile<6, 4>([](const Vector(&m)[6], Vector(&y)[4])
                               LOCKSTEP_INLINE { transform_products(m, y); },
                           InnerPixels{products, 6 * stride, stride},
                           [&](int r, int k, Vector value) LOCKSTEP_INLINE {
                             if (r < rows && k < columns)
                               store<kWidth>(first + r * row + k * plane.pixel, value);
                           });
    }
  }
}

void winograd_convolve(const WinogradGeometry& g, int images, const float* src,
                       const float* transformed, float* dst, float* scratch) {
  const size_t in = g.in_channels, out = g.out_channels, tiles = tiles_of(g, images);
  const Plane src_plane = plane_of(g, in), dst_plane = plane_of(g, out);
  const size_t pixel_stride = kWinogradTiles * in + kWinogradGap;
  const size_t product_stride = kWinogradTiles * out + kWinogradGap;
  float* products = scratch + kWinogradProducts * pixel_stride;
  Tile tile;
  for (size_t done = 0; done < tiles; done += kWinogradTiles) {
    const size_t n = smaller(tiles - done, kWinogradTiles);
    transform_src(src_plane, in, src, tile, n, scratch, pixel_stride);
    // Rows beyond n hold what was there before; nobody reads their products.
    const Product product{divide_up(n, kTileRows) * kTileRows, out, in, in, 1, out, out};
    for (size_t p = 0; p < kWinogradProducts; ++p) {
      multiply<kTileRows>(product, scratch + p * pixel_stride,
                          transformed + p * (in * out + kWinogradGap),
                          products + p * product_stride, false);
    }
    transform_dst(dst_plane, out, products, product_stride, tile, n, dst);
    for (size_t t = 0; t < n; ++t) tile.next(src_plane);
  }
}

/// The sums of products [36 planes][in][out] -> [3*3][in][out].
LOCKSTEP_INLINE inline void finish_weight_gradient(size_t weights, const float* sums,
                                                   float* gradient, bool add) {
  for (size_t w = 0; w < weights; w += kWidth) {
    const size_t stride = weights + kWinogradGap;
    transform_tile<6, 3>([](const Vector(&u)[6], Vector(&v)[3])
                             LOCKSTEP_INLINE { transform_weight_gradients(u, v); },
                         InnerPixels{sums + w, 6 * stride, stride},
                         [&](int r, int c, Vector value) LOCKSTEP_INLINE {
                           float* at = gradient + (r * 3 + c) * weights + w;
                           store<kWidth>(at, add ? load<kWidth>(at) + value : value);
                         });
  }
}

void winograd_weight_gradient(const WinogradGeometry& g, int images, const float* src,
                              const float* diff_dst, float* gradient, bool add, float* scratch) {
  const size_t in = g.in_channels, out = g.out_channels, tiles = tiles_of(g, images);
  const Plane src_plane = plane_of(g, in), dst_plane = plane_of(g, out);
  const size_t pixel_stride = kWinogradTiles * in + kWinogradGap;
  const size_t gradient_stride = kWinogradTiles * out + kWinogradGap;
  float* gradients = scratch + kWinogradProducts * pixel_stride;
  float* sums = gradients + kWinogradProducts * gradient_stride;
  Tile tile;
  for (size_t done = 0; done < tiles; done += kWinogradTiles) {
    const size_t n = smaller(tiles - done, kWinogradTiles);
    transform_src(src_plane, in, src, tile, n, scratch, pixel_stride);
    transform_diff_dst(dst_plane, out, diff_dst, tile, n, gradients, gradient_stride);
    const Product product{in, out, n, 1, in, out, out};
    for (size_t p = 0; p < kWinogradProducts; ++p) {
      multiply<kChannelRows>(product, scratch + p * pixel_stride, gradients + p * gradient_stride,
                             sums + p * (in * out + kWinogradGap), done > 0);
    }
    for (size_t t = 0; t < n; ++t) tile.next(src_plane);
  }
  finish_weight_gradient(in * out, sums, gradient, add);
}

void winograd_weights(const WinogradGeometry& g, bool transposed, const float* weights,
                      float* transformed) {
  const size_t in = g.in_channels, out = g.out_channels, stride = in * out + kWinogradGap;
  // weights[out,in,3,3]; for the data gradient [in,out,3,3], turned by half a circle.
  const size_t of_in = transposed ? 9 * out : 9, of_out = transposed ? 9 : 9 * in;
  for (size_t o = 0; o < out; o += kWidth) {
    for (size_t i = 0; i < in; ++i) {
      const float* first = weights + o * of_out + i * of_in;
      float taps[9][kWidth];
      for (int lane = 0; lane < kWidth; ++lane) {
        const float* of_lane = first + lane * of_out;
        for (int k = 0; k < 9; ++k) taps[k][lane] = of_lane[transposed ? 8 - k : k];
      }
      transform_tile<3, 6>(
          [](const Vector(&w)[3], Vector(&u)[6]) LOCKSTEP_INLINE { transform_weights(w, u); },
          [&](int r, int c) LOCKSTEP_INLINE { return load<kWidth>(taps[r * 3 + c]); },
          ToPlanes<6>{transformed + i * out + o, stride});
    }
  }
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
