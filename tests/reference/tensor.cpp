#include "tests/reference/tensor.h"

#include <cmath>
#include <numbers>
#include <random>
#include <utility>

namespace lockstep::reference {
namespace {

// The distributions of the standard library differ between implementations; the engine does not.
double uniform(std::mt19937_64& engine) {
  return (static_cast<double>(engine() >> 11) + 0.5) * 0x1.0p-53;
}

}  // namespace

Tensor make_tensor(std::vector<std::int64_t> dims, double value) {
  std::size_t elements = 1;
  for (std::int64_t d : dims) {
    require(d >= 0, "a dimension is negative");
    elements *= static_cast<std::size_t>(d);
  }
  return {std::move(dims), std::vector<double>(elements, value)};
}

Tensor random_tensor(std::vector<std::int64_t> dims, std::uint64_t seed) {
  Tensor tensor = make_tensor(std::move(dims));
  std::mt19937_64 engine(seed);
  for (double& v : tensor.values) {
    const double radius = std::sqrt(-2 * std::log(uniform(engine)));
    v = radius * std::cos(2 * std::numbers::pi * uniform(engine));
  }
  return tensor;
}

Tensor spaced_tensor(std::vector<std::int64_t> dims, std::uint64_t seed) {
  Tensor tensor = make_tensor(std::move(dims));
  const std::int64_t n = tensor.elements();
  for (std::int64_t i = 0; i < n; ++i) tensor[i] = 0.05 * (static_cast<double>(2 * i - n) + 0.5);
  std::mt19937_64 engine(seed);
  for (std::int64_t i = n - 1; i > 0; --i) {
    const auto j = static_cast<std::int64_t>(uniform(engine) * static_cast<double>(i + 1));
    std::swap(tensor[i], tensor[j]);
  }
  return tensor;
}

std::string dims_text(const Tensor& tensor) {
  std::string text = "[";
  for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(tensor.dims[i]);
  }
  return text + "]";
}

void require(bool ok, const std::string& what) {
  if (!ok) throw std::invalid_argument("reference: " + what);
}

}  // namespace lockstep::reference
