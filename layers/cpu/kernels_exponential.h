#pragma once
// The exponential function and the normal distribution. See kernels_impl.h.
#include "layers/cpu/kernels_vector.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// e^v within two units in the last place, for v from -87.3 to 88; beyond these as there. NaN stays
/// NaN. v = n*ln 2 + r with |r| <= ln 2 / 2; e^r is its Taylor series, 2^n goes into the exponent.
template <int W>
LOCKSTEP_INLINE inline Floats<W> exponential(Floats<W> v) {
  const Floats<W> least = broadcast<W>(-87.3f), most = broadcast<W>(88.0f);
  v = v < least ? least : v;
  v = v > most ? most : v;
  // In the sum the last bits of the mantissa are v/ln 2, rounded to a whole number.
  const Floats<W> shifted = v * 1.44269504f + 12582912.0f;
  const Floats<W> n = shifted - 12582912.0f;
  const Floats<W> r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats<W> sum = broadcast<W>(1.0f / 5040);
  sum = sum * r + 1.0f / 720;
  sum = sum * r + 1.0f / 120;
  sum = sum * r + 1.0f / 24;
  sum = sum * r + 1.0f / 6;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  return (Floats<W>)((Words<W>)sum + ((Words<W>)shifted << 23));
}

/// The normal distribution at x and, times sqrt(2 pi), its density.
template <int W>
struct Normal {
  Floats<W> below, density;
};

/// By Abramowitz & Stegun 7.1.26: the complementary error function is a polynomial times e^-a^2.
template <int W>
LOCKSTEP_INLINE inline Normal<W> normal(Floats<W> x) {
  const Floats<W> zero{}, one = broadcast<W>(1.0f);
  const Floats<W> size = x < zero ? -x : x;
  const Floats<W> t = one / (one + 0.3275911f * 0.70710678f * size);
  Floats<W> sum = broadcast<W>(1.061405429f);
  sum = sum * t - 1.453152027f;
  sum = sum * t + 1.421413741f;
  sum = sum * t - 0.284496736f;
  sum = sum * t + 0.254829592f;
  const Floats<W> density = exponential<W>(-0.5f * x * x);
  const Floats<W> tail = 0.5f * sum * t * density;
  return {x < zero ? tail : one - tail, density};
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
