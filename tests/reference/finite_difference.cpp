#include "tests/reference/finite_difference.h"

#include <algorithm>
#include <cmath>

namespace lockstep::reference {

double dot(const Tensor& a, const Tensor& b) {
  require(a.dims == b.dims, "dot of " + dims_text(a) + " and " + dims_text(b));
  double sum = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) sum += a[i] * b[i];
  return sum;
}

Tensor numeric_gradient(const Scalar& scalar, const Tensor& x, double step) {
  Tensor gradient = make_tensor(x.dims);
  Tensor moved = x;
  const auto at = [&](std::int64_t i, double offset) {
    moved[i] = x[i] + offset;
    return scalar(moved);
  };
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    const double near = at(i, step) - at(i, -step);
    const double far = at(i, 2 * step) - at(i, -2 * step);
    gradient[i] = (8 * near - far) / (12 * step);
    moved[i] = x[i];
  }
  return gradient;
}

double relative_difference(const Tensor& a, const Tensor& b) {
  require(a.dims == b.dims, "gradients of dims " + dims_text(a) + " and " + dims_text(b));
  double largest = 0;
  for (const Tensor* t : {&a, &b})
    for (double v : t->values) largest = std::max(largest, std::abs(v));
  double worst = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    const double scale = std::max({std::abs(a[i]), std::abs(b[i]), 1e-3 * largest, 1e-9});
    worst = std::max(worst, std::abs(a[i] - b[i]) / scale);
  }
  return worst;
}

double gradient_error(const Scalar& scalar, const Tensor& x, const Tensor& gradient) {
  return relative_difference(numeric_gradient(scalar, x), gradient);
}

double gradient_error(const Function& op, const Tensor& x, const Tensor& diff_dst,
                      const Tensor& gradient) {
  return gradient_error([&](const Tensor& moved) { return dot(op(moved), diff_dst); }, x, gradient);
}

}  // namespace lockstep::reference
