#pragma once
#include <functional>

#include "tests/reference/tensor.h"

namespace lockstep::reference {

/// A scalar as a function of one tensor.
using Scalar = std::function<double(const Tensor&)>;
/// A tensor as a function of one tensor.
using Function = std::function<Tensor(const Tensor&)>;

/// Sum of a[i] * b[i]: with a fixed `b` it turns an op into a scalar whose gradient is backward(b).
double dot(const Tensor& a, const Tensor& b);

/// The gradient of `scalar` at `x` by five-point central differences; its error is O(step^4).
Tensor numeric_gradient(const Scalar& scalar, const Tensor& x, double step = 1e-3);

/// The largest relative difference of two gradients. Elements smaller than a thousandth of the
/// largest one are compared relative to that thousandth. Dims must agree.
double relative_difference(const Tensor& a, const Tensor& b);

/// How far `gradient` is from the finite differences of `scalar` at `x`.
double gradient_error(const Scalar& scalar, const Tensor& x, const Tensor& gradient);

/// The same for an op: `gradient` is what its backward gave for `diff_dst`.
double gradient_error(const Function& op, const Tensor& x, const Tensor& diff_dst,
                      const Tensor& gradient);

/// What the tests of the twins allow.
constexpr double kGradientTolerance = 1e-6;

}  // namespace lockstep::reference
