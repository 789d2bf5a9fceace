#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

// What transformers add: attention over the pixels, learned positions; and ConvNeXt's factors.

/// src [N,3C,H,W]: queries, keys and values, C/heads neighbouring channels of each for a head
/// -> dst [N,C,H,W]: softmax over the pixels of q k^T / sqrt(C/heads), times v.
Tensor attention(const Tensor& src, int heads);
Tensor attention_backward(const Tensor& src, const Tensor& diff_dst, int heads);

/// dst = src + weight; weight [H,W,C].
Tensor position_embedding(const Tensor& src, const Tensor& weight);
/// The gradient of the weight; that of src is diff_dst.
Tensor position_embedding_backward(const Tensor& weight, const Tensor& diff_dst);

struct LayerScaleGradients {
  Tensor src, weight;
};

/// dst[n,c,h,w] = weight[c] * src[n,c,h,w].
Tensor layer_scale(const Tensor& src, const Tensor& weight);
LayerScaleGradients layer_scale_backward(const Tensor& src, const Tensor& weight,
                                         const Tensor& diff_dst);

}  // namespace lockstep::reference
