#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

/// src[i] [N,C_i,H,W] -> dst [N, sum of C_i, H, W].
Tensor concat(const std::vector<Tensor>& src);
/// The gradients of the inputs, which have channels[i] channels.
std::vector<Tensor> concat_backward(const Tensor& diff_dst,
                                    const std::vector<std::int64_t>& channels);

/// Shortcut A (He et al. 2015, arXiv:1512.03385): every stride-th pixel; `pad_front` zero channels
/// before those of src, and zero channels after them up to out_channels.
/// src [N,C,H,W] -> dst [N, out_channels, ceil(H/stride), ceil(W/stride)].
struct ChannelPadOptions {
  std::int64_t out_channels = 0;
  int stride = 1;
  std::int64_t pad_front = 0;
};
Tensor channel_pad(const Tensor& src, const ChannelPadOptions& options);
Tensor channel_pad_backward(const std::vector<std::int64_t>& src_dims, const Tensor& diff_dst,
                            const ChannelPadOptions& options);

}  // namespace lockstep::reference
