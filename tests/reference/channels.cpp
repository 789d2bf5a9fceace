#include "tests/reference/channels.h"

namespace lockstep::reference {
namespace {

Tensor padded_like(const std::vector<std::int64_t>& src, const ChannelPadOptions& o) {
  require(src.size() == 4 && o.pad_front >= 0 && src[1] + o.pad_front <= o.out_channels,
          "channel_pad from " + std::to_string(src.at(1)) + " to " +
              std::to_string(o.out_channels) + " channels");
  return make_tensor({src[0], o.out_channels, (src[2] + o.stride - 1) / o.stride,
                      (src[3] + o.stride - 1) / o.stride});
}

/// Calls visit(n, c, y, x) for each element of dst that comes from src [n,c,y*stride,x*stride].
template <class Visit>
void for_each_kept(const std::vector<std::int64_t>& src, const Tensor& dst, Visit visit) {
  for (std::int64_t n = 0; n < src[0]; ++n)
    for (std::int64_t c = 0; c < src[1]; ++c)
      for (std::int64_t y = 0; y < dst.dim(2); ++y)
        for (std::int64_t x = 0; x < dst.dim(3); ++x) visit(n, c, y, x);
}

/// Copies channels between the whole [N,C,H,W] and a part of it that begins at channel `first`.
template <class Copy>
void for_each_of_part(const Tensor& part, std::int64_t first, Copy copy) {
  for (std::int64_t n = 0; n < part.dim(0); ++n)
    for (std::int64_t c = 0; c < part.dim(1); ++c)
      for (std::int64_t h = 0; h < part.dim(2); ++h)
        for (std::int64_t w = 0; w < part.dim(3); ++w) copy(n, c, first + c, h, w);
}

}  // namespace

Tensor concat(const std::vector<Tensor>& src) {
  require(!src.empty(), "concat of nothing");
  std::int64_t channels = 0;
  for (const Tensor& part : src) {
    require(part.dim(0) == src[0].dim(0) && part.dim(2) == src[0].dim(2) &&
                part.dim(3) == src[0].dim(3),
            "concat of " + dims_text(src[0]) + " and " + dims_text(part));
    channels += part.dim(1);
  }
  Tensor dst = make_tensor({src[0].dim(0), channels, src[0].dim(2), src[0].dim(3)});
  std::int64_t first = 0;
  for (const Tensor& part : src) {
    for_each_of_part(part, first, [&](auto n, auto c, auto whole_c, auto h, auto w) {
      dst.at(n, whole_c, h, w) = part.at(n, c, h, w);
    });
    first += part.dim(1);
  }
  return dst;
}

std::vector<Tensor> concat_backward(const Tensor& diff_dst,
                                    const std::vector<std::int64_t>& channels) {
  std::vector<Tensor> result;
  std::int64_t first = 0;
  for (std::int64_t count : channels) {
    require(first + count <= diff_dst.dim(1), "concat_backward of " + dims_text(diff_dst));
    Tensor part = make_tensor({diff_dst.dim(0), count, diff_dst.dim(2), diff_dst.dim(3)});
    for_each_of_part(part, first, [&](auto n, auto c, auto whole_c, auto h, auto w) {
      part.at(n, c, h, w) = diff_dst.at(n, whole_c, h, w);
    });
    result.push_back(std::move(part));
    first += count;
  }
  return result;
}

Tensor channel_pad(const Tensor& src, const ChannelPadOptions& options) {
  Tensor dst = padded_like(src.dims, options);
  for_each_kept(src.dims, dst, [&](auto n, auto c, auto y, auto x) {
    dst.at(n, options.pad_front + c, y, x) = src.at(n, c, y * options.stride, x * options.stride);
  });
  return dst;
}

Tensor channel_pad_backward(const std::vector<std::int64_t>& src_dims, const Tensor& diff_dst,
                            const ChannelPadOptions& options) {
  require(padded_like(src_dims, options).dims == diff_dst.dims, "channel_pad_backward");
  Tensor diff_src = make_tensor(src_dims);
  for_each_kept(src_dims, diff_dst, [&](auto n, auto c, auto y, auto x) {
    diff_src.at(n, c, y * options.stride, x * options.stride) =
        diff_dst.at(n, options.pad_front + c, y, x);
  });
  return diff_src;
}

}  // namespace lockstep::reference
