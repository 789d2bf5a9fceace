#include "tests/reference/upsampling.h"

#include <algorithm>

namespace lockstep::reference {

namespace {

/// Calls f(n, c, h, w, k, i, j, y, x) for every product: src(n,c,h,w) * weight(c,k,i,j) is part of
/// dst(n,k,y,x).
template <class F>
void for_each_product(const Tensor& src, const Tensor& weight, const Tensor& dst, int stride,
                      int padding, F f) {
  for (std::int64_t n = 0; n < src.dim(0); ++n)
    for (std::int64_t c = 0; c < src.dim(1); ++c)
      for (std::int64_t h = 0; h < src.dim(2); ++h)
        for (std::int64_t w = 0; w < src.dim(3); ++w)
          for (std::int64_t k = 0; k < weight.dim(1); ++k)
            for (std::int64_t i = 0; i < weight.dim(2); ++i)
              for (std::int64_t j = 0; j < weight.dim(3); ++j) {
                const std::int64_t y = h * stride + i - padding, x = w * stride + j - padding;
                if (y >= 0 && y < dst.dim(2) && x >= 0 && x < dst.dim(3))
                  f(n, c, h, w, k, i, j, y, x);
              }
}

struct Part {
  std::int64_t at;
  double weight;
};

/// The two inputs that output `out` lies between, and their parts in it.
std::vector<Part> parts_of(std::int64_t out, std::int64_t size, int factor) {
  const double at =
      std::max(0.0, (static_cast<double>(out) + 0.5) / static_cast<double>(factor) - 0.5);
  const auto low = static_cast<std::int64_t>(at);
  const double high_part = at - static_cast<double>(low);
  return {{low, 1 - high_part}, {std::min(low + 1, size - 1), high_part}};
}

/// Calls f(n, c, h, w, y, x, weight) for every input of every output.
template <class F>
void for_each_part(const std::vector<std::int64_t>& src, int factor, F f) {
  for (std::int64_t n = 0; n < src[0]; ++n)
    for (std::int64_t c = 0; c < src[1]; ++c)
      for (std::int64_t y = 0; y < src[2] * factor; ++y)
        for (std::int64_t x = 0; x < src[3] * factor; ++x)
          for (const Part& row : parts_of(y, src[2], factor))
            for (const Part& column : parts_of(x, src[3], factor))
              f(n, c, row.at, column.at, y, x, row.weight * column.weight);
}

}  // namespace

Tensor conv_transpose2d(const Tensor& src, const Tensor& weight, int stride, int padding) {
  require(weight.dim(0) == src.dim(1),
          "conv_transpose2d of " + dims_text(src) + " with " + dims_text(weight));
  Tensor dst = make_tensor({src.dim(0), weight.dim(1),
                            (src.dim(2) - 1) * stride - 2 * padding + weight.dim(2),
                            (src.dim(3) - 1) * stride - 2 * padding + weight.dim(3)});
  for_each_product(src, weight, dst, stride, padding,
                   [&](auto n, auto c, auto h, auto w, auto k, auto i, auto j, auto y, auto x) {
                     dst.at(n, k, y, x) += src.at(n, c, h, w) * weight.at(c, k, i, j);
                   });
  return dst;
}

TransposedGradients conv_transpose2d_backward(const Tensor& src, const Tensor& weight,
                                              const Tensor& diff_dst, int stride, int padding) {
  TransposedGradients g{make_tensor(src.dims), make_tensor(weight.dims)};
  for_each_product(src, weight, diff_dst, stride, padding,
                   [&](auto n, auto c, auto h, auto w, auto k, auto i, auto j, auto y, auto x) {
                     g.src.at(n, c, h, w) += diff_dst.at(n, k, y, x) * weight.at(c, k, i, j);
                     g.weight.at(c, k, i, j) += diff_dst.at(n, k, y, x) * src.at(n, c, h, w);
                   });
  return g;
}

Tensor upsample(const Tensor& src, int factor) {
  Tensor dst = make_tensor({src.dim(0), src.dim(1), src.dim(2) * factor, src.dim(3) * factor});
  for_each_part(src.dims, factor,
                [&](auto n, auto c, auto h, auto w, auto y, auto x, double weight) {
                  dst.at(n, c, y, x) += weight * src.at(n, c, h, w);
                });
  return dst;
}

Tensor upsample_backward(const std::vector<std::int64_t>& src_dims, const Tensor& diff_dst,
                         int factor) {
  Tensor diff_src = make_tensor(src_dims);
  for_each_part(src_dims, factor,
                [&](auto n, auto c, auto h, auto w, auto y, auto x, double weight) {
                  diff_src.at(n, c, h, w) += weight * diff_dst.at(n, c, y, x);
                });
  return diff_src;
}

}  // namespace lockstep::reference
