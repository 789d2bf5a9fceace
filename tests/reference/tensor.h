#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace lockstep::reference {

/// A plain row-major array of doubles. Images are [N,C,H,W].
struct Tensor {
  std::vector<std::int64_t> dims;
  std::vector<double> values;

  std::int64_t dim(std::size_t axis) const { return dims.at(axis); }
  std::int64_t elements() const { return static_cast<std::int64_t>(values.size()); }

  double& operator[](std::int64_t i) { return values[static_cast<std::size_t>(i)]; }
  double operator[](std::int64_t i) const { return values[static_cast<std::size_t>(i)]; }

  double& at(std::int64_t i, std::int64_t j) { return (*this)[i * dims[1] + j]; }
  double at(std::int64_t i, std::int64_t j) const { return (*this)[i * dims[1] + j]; }

  double& at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
    return (*this)[((n * dims[1] + c) * dims[2] + h) * dims[3] + w];
  }
  double at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
    return (*this)[((n * dims[1] + c) * dims[2] + h) * dims[3] + w];
  }
};

/// A tensor of these dims, filled with `value`.
Tensor make_tensor(std::vector<std::int64_t> dims, double value = 0);

/// Standard normal values, the same for the same seed with every standard library.
Tensor random_tensor(std::vector<std::int64_t> dims, std::uint64_t seed);

/// Values whose distances from each other and from zero are at least 0.05, in random order:
/// for functions with kinks (ReLU, max pooling), where a difference must not step over one.
Tensor spaced_tensor(std::vector<std::int64_t> dims, std::uint64_t seed);

/// "[2,3,5,5]", as messages print it.
std::string dims_text(const Tensor& tensor);

/// @throws std::invalid_argument that says `what`, unless `ok`.
void require(bool ok, const std::string& what);

}  // namespace lockstep::reference
