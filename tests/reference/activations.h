#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>

namespace lockstep::reference {

enum class ActivationKind { kRelu, kLeakyRelu, kElu, kGelu, kSigmoid, kHardswish };

/// An activation's value at x and its slope there. At a kink the slope is that of smaller x.
struct ActivationTwin {
  const char* word;  // of the op's kind
  ActivationKind kind;
  double (*value)(double x, double alpha);
  double (*slope)(double x, double alpha);
};

/// Probability that a standard normal variable is below x.
inline double normal_cdf(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }
inline double normal_density(double x) {
  return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi);
}
inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// By kind.
inline constexpr ActivationTwin kActivationTwins[] = {
    {"relu", ActivationKind::kRelu,  //
     [](double x, double) { return x > 0 ? x : 0; },
     [](double x, double) { return x > 0 ? 1.0 : 0.0; }},
    {"leaky_relu", ActivationKind::kLeakyRelu,
     [](double x, double alpha) { return x > 0 ? x : alpha * x; },
     [](double x, double alpha) { return x > 0 ? 1 : alpha; }},
    {"elu", ActivationKind::kElu,
     [](double x, double alpha) { return x > 0 ? x : alpha * std::expm1(x); },
     [](double x, double alpha) { return x > 0 ? 1 : alpha * std::exp(x); }},
    {"gelu", ActivationKind::kGelu,  // exact
     [](double x, double) { return x * normal_cdf(x); },
     [](double x, double) { return normal_cdf(x) + x * normal_density(x); }},
    {"sigmoid", ActivationKind::kSigmoid,  //
     [](double x, double) { return sigmoid(x); },
     [](double x, double) { return sigmoid(x) * (1 - sigmoid(x)); }},
    {"hardswish", ActivationKind::kHardswish,
     [](double x, double) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; },
     [](double x, double) { return x <= -3  ? 0
                                   : x <= 3 ? x / 3 + 0.5
                                            : 1; }},
};

}  // namespace lockstep::reference
