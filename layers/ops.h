#pragma once
#include <string>
#include <variant>

#include "layers/parameter_ops.h"

namespace lockstep {

// The attributes of every op, as plain values; of those with parameters in layers/parameter_ops.h.
// Shapes are per image, [C,H,W]; see layers/shape.h.

enum class ActivationKind { kRelu, kLeakyRelu, kElu, kGelu, kSigmoid };

/// Elementwise. `alpha` is the slope below zero of LeakyReLU and the scale of ELU; GELU is exact (erf).
struct Activation {
  ActivationKind kind = ActivationKind::kRelu;
  float alpha = 0.0f;
};

/// dst = a + b; both of one shape.
struct Add {};

/// Gated skip: dst = start + weight * (end - start), element by element; three of one shape.
/// Srivastava et al. 2015, arXiv:1505.00387: the gate carries `start` or transforms it.
struct Lerp {};

/// dst = the inputs' channels one after another; H and W must agree.
struct Concat {};

/// Shortcut A of He et al. 2015: every `stride`-th pixel, zero channels appended.
/// src [C,H,W] -> dst [out_channels, ceil(H/stride), ceil(W/stride)].
struct ChannelPad {
  int out_channels = 0;
  int stride = 1;
};

enum class PoolKind { kMax, kAverage };

/// Pooling; the average leaves padding out of its count.
/// H' = (H + 2*padding - kernel)/stride + 1, rounded up with ceil_mode.
struct Pool {
  PoolKind kind = PoolKind::kMax;
  int kernel = 3;
  int stride = 2;
  int padding = 1;
  bool ceil_mode = false;
};

/// Bilinear enlargement; the centres of pixels correspond (PyTorch's align_corners = false).
/// src [C,H,W] -> dst [C, factor*H, factor*W].
struct Upsample {
  int factor = 2;
};

/// src [C,H,W] -> dst [C*H*W,1,1], channel by channel.
struct Flatten {};

/// src [C,H,W] -> dst [C,1,1], the mean of every channel.
struct GlobalAveragePool {};

/// Zeroes elements with `probability` in training and scales the rest by 1/(1 - probability).
/// Srivastava et al. 2014. Drawn by Philox keyed by (seed, step, op, sample position, index).
struct Dropout {
  float probability = 0.5f;
};

/// Drops a whole image's branch with probability 1 - keep in training, scales kept ones by 1/keep.
/// Huang et al. 2016, arXiv:1603.09382. Drawn as Dropout's, per image.
struct StochasticDepth {
  float keep = 1.0f;
};

/// Conditional skip: dst = gate * src, the gate 1 with probability `keep`, else 0: one draw for all
/// images of a step, keyed by (seed, step, op). In evaluation its mean, keep, as in Huang et al. 2016.
struct BranchGate {
  float keep = 1.0f;
};

/// dst = alpha * src: residual scaling.
struct Scale {
  float alpha = 1.0f;
};

/// Squeeze-excitation's product: dst[c,h,w] = src[c,h,w] * gate[c].  Hu et al. 2018, arXiv:1709.01507.
/// Inputs: src [C,H,W], gate [C,1,1].
struct ChannelScale {};

/// Multi-head self-attention over the pixels.  Vaswani et al. 2017, arXiv:1706.03762.
/// src [3C,H,W]: queries, keys and values -> dst [C,H,W]. A head has C/heads neighbouring channels
/// of each: softmax(q k^T / sqrt(C/heads)) v.
struct Attention {
  int heads = 1;
};

/// Loss over class labels: mean over the global batch of the cross entropy with label smoothing.
/// src: logits [classes,1,1]; no output value.
struct SoftmaxCrossEntropy {
  float label_smoothing = 0.0f;
};

/// Loss over a label for every pixel: cross entropy with label smoothing, summed over the pixels that
/// have a label (it is not negative) and divided by all pixels of the global batch, so that how
/// much a pixel weighs does not depend on the others' labels.
/// src: logits [classes,H,W]; no output value.
struct PixelCrossEntropy {
  float label_smoothing = 0.0f;
};

using OpAttributes =
    std::variant<Conv2d, ConvTranspose2d, BatchNorm, GroupNorm, LayerNorm, LayerScale,
                 PositionEmbedding, Activation, Add, Lerp, Attention, Concat, ChannelPad, Pool,
                 Upsample, Flatten, GlobalAveragePool, Linear, Dropout, StochasticDepth, BranchGate,
                 Scale, ChannelScale, SoftmaxCrossEntropy, PixelCrossEntropy>;

/// The ops that end a graph: they have no output value.
inline bool is_loss(const OpAttributes& attributes) {
  return std::holds_alternative<SoftmaxCrossEntropy>(attributes) ||
         std::holds_alternative<PixelCrossEntropy>(attributes);
}

/// "conv2d", "batch_norm", ...: the op's kind as tables and messages print it.
std::string kind_name(const OpAttributes& attributes);

}  // namespace lockstep
