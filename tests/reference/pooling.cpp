#include "tests/reference/pooling.h"

#include <algorithm>

namespace lockstep::reference {
namespace {

std::int64_t output_size(std::int64_t size, const PoolOptions& o) {
  const std::int64_t room = size + 2 * o.padding - o.kernel;
  std::int64_t result = (room + (o.ceil_mode ? o.stride - 1 : 0)) / o.stride + 1;
  if (o.ceil_mode && (result - 1) * o.stride >= size + o.padding) --result;
  return result;
}

Tensor output_like(const Tensor& src, const PoolOptions& o) {
  require(src.dims.size() == 4 && 2 * o.padding <= o.kernel &&
              src.dim(2) + 2 * o.padding >= o.kernel && src.dim(3) + 2 * o.padding >= o.kernel,
          "pooling of " + dims_text(src) + " with kernel " + std::to_string(o.kernel) +
              " and padding " + std::to_string(o.padding));
  return make_tensor(
      {src.dim(0), src.dim(1), output_size(src.dim(2), o), output_size(src.dim(3), o)});
}

/// The part of a window inside the image, and its size with padding (without what ceil_mode adds).
struct Window {
  std::int64_t first_row, last_row, first_column, last_column;  // last: one past
  std::int64_t padded_pixels;
  std::int64_t pixels() const { return (last_row - first_row) * (last_column - first_column); }
};

Window window_at(const Tensor& src, std::int64_t y, std::int64_t x, const PoolOptions& o) {
  const std::int64_t top = y * o.stride - o.padding, left = x * o.stride - o.padding;
  const std::int64_t bottom = std::min(top + o.kernel, src.dim(2) + o.padding);
  const std::int64_t right = std::min(left + o.kernel, src.dim(3) + o.padding);
  const std::int64_t zero = 0;
  return {std::max(top, zero), std::min(bottom, src.dim(2)), std::max(left, zero),
          std::min(right, src.dim(3)), (bottom - top) * (right - left)};
}

/// Calls visit(n, c, y, x, window) for each output element.
template <class Visit>
void for_each_window(const Tensor& src, const Tensor& dst, const PoolOptions& o, Visit visit) {
  for (std::int64_t n = 0; n < dst.dim(0); ++n)
    for (std::int64_t c = 0; c < dst.dim(1); ++c)
      for (std::int64_t y = 0; y < dst.dim(2); ++y)
        for (std::int64_t x = 0; x < dst.dim(3); ++x) visit(n, c, y, x, window_at(src, y, x, o));
}

struct Pixel {
  std::int64_t h, w;
};

Pixel largest(const Tensor& src, std::int64_t n, std::int64_t c, const Window& window) {
  Pixel best{window.first_row, window.first_column};
  for (std::int64_t h = window.first_row; h < window.last_row; ++h)
    for (std::int64_t w = window.first_column; w < window.last_column; ++w)
      if (src.at(n, c, h, w) > src.at(n, c, best.h, best.w)) best = {h, w};
  return best;
}

double divisor(const Window& window, const PoolOptions& o) {
  return static_cast<double>(o.count_include_pad ? window.padded_pixels : window.pixels());
}

}  // namespace

Tensor max_pool(const Tensor& src, const PoolOptions& options) {
  Tensor dst = output_like(src, options);
  for_each_window(src, dst, options, [&](auto n, auto c, auto y, auto x, const Window& window) {
    const Pixel best = largest(src, n, c, window);
    dst.at(n, c, y, x) = src.at(n, c, best.h, best.w);
  });
  return dst;
}

Tensor max_pool_backward(const Tensor& src, const Tensor& diff_dst, const PoolOptions& options) {
  require(output_like(src, options).dims == diff_dst.dims, "max_pool_backward");
  Tensor diff_src = make_tensor(src.dims);
  for_each_window(src, diff_dst, options,
                  [&](auto n, auto c, auto y, auto x, const Window& window) {
                    const Pixel best = largest(src, n, c, window);
                    diff_src.at(n, c, best.h, best.w) += diff_dst.at(n, c, y, x);
                  });
  return diff_src;
}

Tensor average_pool(const Tensor& src, const PoolOptions& options) {
  Tensor dst = output_like(src, options);
  for_each_window(src, dst, options, [&](auto n, auto c, auto y, auto x, const Window& window) {
    double sum = 0;
    for (std::int64_t h = window.first_row; h < window.last_row; ++h)
      for (std::int64_t w = window.first_column; w < window.last_column; ++w)
        sum += src.at(n, c, h, w);
    dst.at(n, c, y, x) = sum / divisor(window, options);
  });
  return dst;
}

Tensor average_pool_backward(const Tensor& src, const Tensor& diff_dst,
                             const PoolOptions& options) {
  require(output_like(src, options).dims == diff_dst.dims, "average_pool_backward");
  Tensor diff_src = make_tensor(src.dims);
  for_each_window(src, diff_dst, options,
                  [&](auto n, auto c, auto y, auto x, const Window& window) {
                    const double diff = diff_dst.at(n, c, y, x) / divisor(window, options);
                    for (std::int64_t h = window.first_row; h < window.last_row; ++h)
                      for (std::int64_t w = window.first_column; w < window.last_column; ++w)
                        diff_src.at(n, c, h, w) += diff;
                  });
  return diff_src;
}

Tensor global_average_pool(const Tensor& src) {
  Tensor dst = make_tensor({src.dim(0), src.dim(1), 1, 1});
  const std::int64_t pixels = src.dim(2) * src.dim(3);
  for (std::int64_t i = 0; i < src.elements(); ++i)
    dst[i / pixels] += src[i] / static_cast<double>(pixels);
  return dst;
}

Tensor global_average_pool_backward(const std::vector<std::int64_t>& src_dims,
                                    const Tensor& diff_dst) {
  Tensor diff_src = make_tensor(src_dims);
  const std::int64_t pixels = src_dims.at(2) * src_dims.at(3);
  require(diff_dst.elements() * pixels == diff_src.elements(), "global_average_pool_backward");
  for (std::int64_t i = 0; i < diff_src.elements(); ++i)
    diff_src[i] = diff_dst[i / pixels] / static_cast<double>(pixels);
  return diff_src;
}

}  // namespace lockstep::reference
