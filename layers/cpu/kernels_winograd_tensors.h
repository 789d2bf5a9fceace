#pragma once
// Where the tiles of a tensor lie: from pixels to Winograd's planes. See kernels_impl.h.
#include "layers/cpu/kernels_winograd_tiles.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// One tensor of a convolution.
struct Plane {
  int height, width;
  size_t pixel, image, group, block;  // strides in floats; channels of a group

  /// The vector that begins at channel c.
  size_t channel(size_t c) const { return c / block * group + c % block; }
};

inline Plane plane_of(const WinogradGeometry& g, size_t channels) {
  const size_t pixels = static_cast<size_t>(g.height) * g.width, block = g.block;
  if (block == 0) return {g.height, g.width, channels, channels * pixels, 0, channels};
  return {g.height, g.width, block, channels * pixels, block * pixels, block};
}

/// Where a tile begins: the tiles of an image row by row, then those of the next.
struct Tile {
  int image = 0, y = 0, x = 0;

  void next(const Plane& p) {
    if ((x += 4) < p.width) return;
    x = 0;
    if ((y += 4) < p.height) return;
    y = 0;
    ++image;
  }
};

inline size_t tiles_of(const WinogradGeometry& g, int images) {
  return static_cast<size_t>(images) * ((g.height + 3) / 4) * ((g.width + 3) / 4);
}

/// Read in place of pixels beyond the image.
alignas(64) constexpr float kZeros[kWidth] = {};

/// The I x I pixels of a tile at the image's edge: where each lies.
template <int I>
struct EdgePixels {
  const float* at[I][I];

  EdgePixels(const Plane& plane, const float* image, int y, int x) {
    bool inside[I];
    LOCKSTEP_UNROLL for (int c = 0; c < I; ++c) inside[c] = x + c >= 0 && x + c < plane.width;
    LOCKSTEP_UNROLL for (int r = 0; r < I; ++r) {
      const bool row_inside = y + r >= 0 && y + r < plane.height;
      const float* row = image + (static_cast<std::ptrdiff_t>(y + r) * plane.width + x) *
                                     static_cast<std::ptrdiff_t>(plane.pixel);
      LOCKSTEP_UNROLL for (int c = 0; c < I; ++c) {
        at[r][c] = row_inside && inside[c] ? row + c * plane.pixel : kZeros;
      }
    }
  }
  LOCKSTEP_INLINE Vector operator()(int r, int c) const { return load<kWidth>(at[r][c]); }
};

/// The same where all pixels of the tile lie inside.
struct InnerPixels {
  const float* first;
  size_t row, pixel;

  LOCKSTEP_INLINE Vector operator()(int r, int c) const {
    return load<kWidth>(first + r * row + c * pixel);
  }
};

/// Writes the J x J values of a vector of channels to planes `stride` floats apart.
template <int J>
struct ToPlanes {
  float* first;
  size_t stride;

  LOCKSTEP_INLINE void operator()(int r, int c, Vector value) const {
    store<kWidth>(first + (r * J + c) * stride, value);
  }
};

/// I x I pixels from (y, x) on -> 36 values, by transform(from, to).
template <int I, class Transform>
LOCKSTEP_INLINE inline void transform_in(const Transform& transform, const Plane& plane,
                                         const float* image, int y, int x, const ToPlanes<6>& to) {
  if (y >= 0 && x >= 0 && y + I <= plane.height && x + I <= plane.width) {
    const size_t row = plane.width * plane.pixel;
    transform(InnerPixels{image + y * row + x * plane.pixel, row, plane.pixel}, to);
  } else {
    transform(EdgePixels<I>(plane, image, y, x), to);
  }
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
