#pragma once
// A matrix product in registers. See kernels_impl.h.
#include "layers/cpu/kernels_vector.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// a[row * a_row + k * a_step], b[k * b_step + column], c[row * c_row + column].
struct Product {
  size_t rows, columns, depth;
  size_t a_row, a_step, b_step, c_row;
};

/// R rows by N vectors of c stay in registers while the depth passes.
template <int R, int N>
LOCKSTEP_INLINE inline void multiply_tile(const Product& p, const float* a, const float* b,
                                          float* c, bool add) {
  Floats<kWidth> sums[R][N];
  LOCKSTEP_UNROLL for (int r = 0; r < R; ++r) {
    LOCKSTEP_UNROLL for (int n = 0; n < N; ++n) {
      sums[r][n] = add ? load<kWidth>(c + r * p.c_row + n * kWidth) : Floats<kWidth>{};
    }
  }
  for (size_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_step) {
    Floats<kWidth> columns[N];
    LOCKSTEP_UNROLL for (int n = 0; n < N; ++n) columns[n] = load<kWidth>(b + n * kWidth);
    LOCKSTEP_UNROLL for (int r = 0; r < R; ++r) {
      const Floats<kWidth> row = broadcast<kWidth>(a[r * p.a_row]);
      LOCKSTEP_UNROLL for (int n = 0; n < N; ++n) sums[r][n] += row * columns[n];
    }
  }
  LOCKSTEP_UNROLL for (int r = 0; r < R; ++r) {
    LOCKSTEP_UNROLL for (int n = 0; n < N; ++n)
        store<kWidth>(c + r * p.c_row + n * kWidth, sums[r][n]);
  }
}

/// c = (+= with `add`) a b: rows a multiple of R, columns of kWidth. Every element is summed in the
/// order of the depth, wherever it lies.
template <int R>
void multiply(const Product& p, const float* a, const float* b, float* c, bool add) {
  size_t n = 0;
  for (; n + 2 * kWidth <= p.columns; n += 2 * kWidth) {
    for (size_t r = 0; r < p.rows; r += R) {
      multiply_tile<R, 2>(p, a + r * p.a_row, b + n, c + r * p.c_row + n, add);
    }
  }
  for (; n < p.columns; n += kWidth) {
    for (size_t r = 0; r < p.rows; r += R) {
      multiply_tile<R, 1>(p, a + r * p.a_row, b + n, c + r * p.c_row + n, add);
    }
  }
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
