#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

struct PoolOptions {
  int kernel = 2;
  int stride = 2;
  int padding = 0;
  bool ceil_mode = false;  // keep the last, partial window, if it begins inside the image
  bool count_include_pad =
      false;  // average only: divide by padding too (not by what ceil_mode adds)
};

/// src [N,C,H,W] -> dst [N,C,H',W'], H' = (H + 2*padding - kernel)/stride + 1, rounded down or up.
/// The first of equal maxima, in row-major order, takes the gradient. Padding never is a maximum.
/// @throws std::invalid_argument if padding exceeds kernel/2, or the padded image is smaller than
/// the kernel.
Tensor max_pool(const Tensor& src, const PoolOptions& options);
Tensor max_pool_backward(const Tensor& src, const Tensor& diff_dst, const PoolOptions& options);

Tensor average_pool(const Tensor& src, const PoolOptions& options);
Tensor average_pool_backward(const Tensor& src, const Tensor& diff_dst, const PoolOptions& options);

/// src [N,C,H,W] -> dst [N,C,1,1]. Backward needs the dims of src only.
Tensor global_average_pool(const Tensor& src);
Tensor global_average_pool_backward(const std::vector<std::int64_t>& src_dims,
                                    const Tensor& diff_dst);

}  // namespace lockstep::reference
