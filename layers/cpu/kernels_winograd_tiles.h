#pragma once
// Winograd's transforms of tiles, on vectors of channels.  Lavin and Gray 2015, arXiv:1509.09308;
// F(4x4, 3x3) on the points 0, +-5/8, +-3/2 and infinity: rounding errors relative to the result 4e-7
// (16 channels) to 1.2e-6 (256), measured against double. See kernels_impl.h.
#include "layers/cpu/kernels_vector.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

using Vector = Floats<kWidth>;

constexpr float kP = 0.625f, kQ = 1.5f, kP2 = kP * kP, kQ2 = kQ * kQ;
// The scale of the points' equations is put where it costs least: on the weights.
constexpr float kScale0 = 1 / (kP2 * kQ2);
constexpr float kScaleP = 1 / (2 * kP2 * (kP2 - kQ2)), kScaleQ = 1 / (2 * kQ2 * (kQ2 - kP2));

/// 6 pixels in a row -> 6 values at the points.
LOCKSTEP_INLINE inline void transform_pixels(const Vector (&x)[6], Vector (&y)[6]) {
  const Vector even_p = x[4] - kQ2 * x[2], odd_p = kP * (x[3] - kQ2 * x[1]);
  const Vector even_q = x[4] - kP2 * x[2], odd_q = kQ * (x[3] - kP2 * x[1]);
  y[0] = (kP2 * kQ2) * x[0] + (x[4] - (kP2 + kQ2) * x[2]);
  y[1] = even_p + odd_p;
  y[2] = even_p - odd_p;
  y[3] = even_q + odd_q;
  y[4] = even_q - odd_q;
  y[5] = (kP2 * kQ2) * x[1] + (x[5] - (kP2 + kQ2) * x[3]);
}

/// The same for a tile of 6x6 pixels from(r, c), in both dimensions; to(r, c, value) takes the
/// values. Two rows of values at a time: all 36 would not stay in registers, and reading the pixels
/// again costs less than keeping them.
template <class From, class To>
LOCKSTEP_INLINE inline void transform_pixel_tile(const From& from, const To& to) {
  const auto both = [&](int first, int second, const auto& of_column) LOCKSTEP_INLINE {
    Vector a[6], b[6], values[6];
    LOCKSTEP_UNROLL for (int c = 0; c < 6; ++c) of_column(c, a[c], b[c]);
    transform_pixels(a, values);
    LOCKSTEP_UNROLL for (int c = 0; c < 6; ++c) to(first, c, values[c]);
    transform_pixels(b, values);
    LOCKSTEP_UNROLL for (int c = 0; c < 6; ++c) to(second, c, values[c]);
  };
  both(1, 2, [&](int c, Vector& a, Vector& b) LOCKSTEP_INLINE {
    const Vector even = from(4, c) - kQ2 * from(2, c), odd = kP * (from(3, c) - kQ2 * from(1, c));
    a = even + odd;
    b = even - odd;
  });
  both(3, 4, [&](int c, Vector& a, Vector& b) LOCKSTEP_INLINE {
    const Vector even = from(4, c) - kP2 * from(2, c), odd = kQ * (from(3, c) - kP2 * from(1, c));
    a = even + odd;
    b = even - odd;
  });
  both(0, 5, [&](int c, Vector& a, Vector& b) LOCKSTEP_INLINE {
    a = (kP2 * kQ2) * from(0, c) + (from(4, c) - (kP2 + kQ2) * from(2, c));
    b = (kP2 * kQ2) * from(1, c) + (from(5, c) - (kP2 + kQ2) * from(3, c));
  });
}

/// 6 products -> 4 results in a row.
LOCKSTEP_INLINE inline void transform_products(const Vector (&m)[6], Vector (&y)[4]) {
  const Vector sum_p = m[1] + m[2], difference_p = m[1] - m[2];
  const Vector sum_q = m[3] + m[4], difference_q = m[3] - m[4];
  y[0] = m[0] + (sum_p + sum_q);
  y[1] = kP * difference_p + kQ * difference_q;
  y[2] = kP2 * sum_p + kQ2 * sum_q;
  y[3] = (kP2 * kP) * difference_p + ((kQ2 * kQ) * difference_q + m[5]);
}

/// 4 gradients in a row -> 6 values: the transpose of transform_products.
LOCKSTEP_INLINE inline void transform_gradients(const Vector (&y)[4], Vector (&m)[6]) {
  const Vector even_p = y[0] + kP2 * y[2], odd_p = kP * (y[1] + kP2 * y[3]);
  const Vector even_q = y[0] + kQ2 * y[2], odd_q = kQ * (y[1] + kQ2 * y[3]);
  m[0] = y[0];
  m[1] = even_p + odd_p;
  m[2] = even_p - odd_p;
  m[3] = even_q + odd_q;
  m[4] = even_q - odd_q;
  m[5] = y[3];
}

/// 3 weights in a row -> 6 values.
LOCKSTEP_INLINE inline void transform_weights(const Vector (&w)[3], Vector (&u)[6]) {
  const Vector even_p = kScaleP * (w[0] + kP2 * w[2]), odd_p = (kScaleP * kP) * w[1];
  const Vector even_q = kScaleQ * (w[0] + kQ2 * w[2]), odd_q = (kScaleQ * kQ) * w[1];
  u[0] = kScale0 * w[0];
  u[1] = even_p + odd_p;
  u[2] = even_p - odd_p;
  u[3] = even_q + odd_q;
  u[4] = even_q - odd_q;
  u[5] = w[2];
}

/// 6 values -> 3 gradients of weights: the transpose of transform_weights.
LOCKSTEP_INLINE inline void transform_weight_gradients(const Vector (&u)[6], Vector (&w)[3]) {
  const Vector sum_p = kScaleP * (u[1] + u[2]), sum_q = kScaleQ * (u[3] + u[4]);
  w[0] = kScale0 * u[0] + (sum_p + sum_q);
  w[1] = (kScaleP * kP) * (u[1] - u[2]) + (kScaleQ * kQ) * (u[3] - u[4]);
  w[2] = kP2 * sum_p + (kQ2 * sum_q + u[5]);
}

/// Both dimensions: from(r, c) are I x I values, to(r, c, value) takes J x J. `transform` is one of
/// the functions above.
template <int I, int J, class Transform, class From, class To>
LOCKSTEP_INLINE inline void transform_tile(const Transform& transform, const From& from,
                                           const To& to) {
  Vector rows[I][J];
  LOCKSTEP_UNROLL for (int r = 0; r < I; ++r) {
    Vector in[I];
    LOCKSTEP_UNROLL for (int c = 0; c < I; ++c) in[c] = from(r, c);
    transform(in, rows[r]);
  }
  LOCKSTEP_UNROLL for (int c = 0; c < J; ++c) {
    Vector in[I], out[J];
    LOCKSTEP_UNROLL for (int r = 0; r < I; ++r) in[r] = rows[r][c];
    transform(in, out);
    LOCKSTEP_UNROLL for (int r = 0; r < J; ++r) to(r, c, out[r]);
  }
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
