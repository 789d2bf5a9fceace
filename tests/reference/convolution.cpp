#include "tests/reference/convolution.h"

namespace lockstep::reference {
namespace {

std::int64_t output_size(std::int64_t size, std::int64_t kernel, const ConvolutionOptions& o) {
  return (size + 2 * o.padding - kernel) / o.stride + 1;
}

Tensor output_like(const Tensor& src, const Tensor& weight, const ConvolutionOptions& o) {
  require(src.dims.size() == 4 && weight.dims.size() == 4,
          "conv2d wants [N,C,H,W] and 4-d weights");
  require(src.dim(1) == weight.dim(1) * o.groups && weight.dim(0) % o.groups == 0,
          "conv2d of " + dims_text(src) + " with weight " + dims_text(weight) + " in " +
              std::to_string(o.groups) + " groups");
  require(
      src.dim(2) + 2 * o.padding >= weight.dim(2) && src.dim(3) + 2 * o.padding >= weight.dim(3),
      "conv2d of " + dims_text(src) + ": the kernel is larger than the padded image");
  return make_tensor({src.dim(0), weight.dim(0), output_size(src.dim(2), weight.dim(2), o),
                      output_size(src.dim(3), weight.dim(3), o)});
}

/// Calls visit(n, k, y, x, c, i, j, channel, h, w) for every multiply-add:
/// dst[n,k,y,x] += src[n,channel,h,w] * weight[k,c,i,j].
template <class Visit>
void for_each_product(const Tensor& src, const Tensor& weight, const Tensor& dst,
                      const ConvolutionOptions& o, Visit visit) {
  const std::int64_t outputs_per_group = weight.dim(0) / o.groups;
  const auto visit_window = [&](std::int64_t n, std::int64_t k, std::int64_t y, std::int64_t x) {
    const std::int64_t first_channel = k / outputs_per_group * weight.dim(1);
    for (std::int64_t c = 0; c < weight.dim(1); ++c)
      for (std::int64_t i = 0; i < weight.dim(2); ++i)
        for (std::int64_t j = 0; j < weight.dim(3); ++j) {
          const std::int64_t h = y * o.stride - o.padding + i;
          const std::int64_t w = x * o.stride - o.padding + j;
          if (h < 0 || h >= src.dim(2) || w < 0 || w >= src.dim(3)) continue;
          visit(n, k, y, x, c, i, j, first_channel + c, h, w);
        }
  };
  for (std::int64_t n = 0; n < dst.dim(0); ++n)
    for (std::int64_t k = 0; k < dst.dim(1); ++k)
      for (std::int64_t y = 0; y < dst.dim(2); ++y)
        for (std::int64_t x = 0; x < dst.dim(3); ++x) visit_window(n, k, y, x);
}

}  // namespace

Tensor conv2d(const Tensor& src, const Tensor& weight, const Tensor& bias,
              const ConvolutionOptions& options) {
  Tensor dst = output_like(src, weight, options);
  for_each_product(
      src, weight, dst, options,
      [&](auto n, auto k, auto y, auto x, auto c, auto i, auto j, auto channel, auto h, auto w) {
        dst.at(n, k, y, x) += src.at(n, channel, h, w) * weight.at(k, c, i, j);
      });
  if (bias.values.empty()) return dst;
  require(bias.elements() == dst.dim(1), "conv2d with bias " + dims_text(bias));
  for (std::int64_t n = 0; n < dst.dim(0); ++n)
    for (std::int64_t k = 0; k < dst.dim(1); ++k)
      for (std::int64_t y = 0; y < dst.dim(2); ++y)
        for (std::int64_t x = 0; x < dst.dim(3); ++x) dst.at(n, k, y, x) += bias[k];
  return dst;
}

ConvolutionGradients conv2d_backward(const Tensor& src, const Tensor& weight,
                                     const Tensor& diff_dst, const ConvolutionOptions& options) {
  require(output_like(src, weight, options).dims == diff_dst.dims,
          "conv2d_backward with diff_dst " + dims_text(diff_dst));
  ConvolutionGradients result{make_tensor(src.dims), make_tensor(weight.dims),
                              make_tensor({weight.dim(0)})};
  for_each_product(
      src, weight, diff_dst, options,
      [&](auto n, auto k, auto y, auto x, auto c, auto i, auto j, auto channel, auto h, auto w) {
        const double diff = diff_dst.at(n, k, y, x);
        result.src.at(n, channel, h, w) += diff * weight.at(k, c, i, j);
        result.weight.at(k, c, i, j) += diff * src.at(n, channel, h, w);
      });
  for (std::int64_t n = 0; n < diff_dst.dim(0); ++n)
    for (std::int64_t k = 0; k < diff_dst.dim(1); ++k)
      for (std::int64_t y = 0; y < diff_dst.dim(2); ++y)
        for (std::int64_t x = 0; x < diff_dst.dim(3); ++x)
          result.bias[k] += diff_dst.at(n, k, y, x);
  return result;
}

}  // namespace lockstep::reference
