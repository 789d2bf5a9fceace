#include "data/number_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace lockstep {

std::string four_digits(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double size = std::abs(value);
  std::array<char, 48> text{};
  if (size != 0 && (size < 1e-4 || size >= 1e6)) {
    std::snprintf(text.data(), text.size(), "%.3e", value);
  } else {
    const int before = size >= 1 ? static_cast<int>(std::floor(std::log10(size))) + 1 : 0;
    const int leading_zeros =
        size > 0 && size < 1 ? -static_cast<int>(std::floor(std::log10(size))) - 1 : 0;
    std::snprintf(text.data(), text.size(), "%.*f",
                  size == 0 ? 0 : std::max(0, 4 - before) + leading_zeros, value);
  }
  return text.data();
}

std::string digits_of(float value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return std::string(digits.data(), end);
}

double without_nan_sign(double value) {
  return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
}

}  // namespace lockstep
