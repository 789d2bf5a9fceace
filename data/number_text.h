#pragma once
#include <string>

namespace lockstep {

/// A number for people: four digits, in plain notation from 0.0001 to 999,999, else as in 1.234e+09; "nan"
/// without a sign.
std::string four_digits(double value);

/// The shortest digits that mean `value`.
std::string digits_of(float value);

/// `value`, a NaN without the sign that arithmetic happened to leave: printf and fmt would print "-nan".
double without_nan_sign(double value);

}  // namespace lockstep
