#pragma once
#include <string>
#include <variant>

namespace lockstep {

// The attributes of every op, as plain values. Shapes are per image, [C,H,W]; see layers/shape.h.

/// 2-D convolution.  He et al. 2015, arXiv:1512.03385.
/// src [C,H,W] -> dst [K,H',W'],  H' = (H + 2*padding - kernel)/stride + 1.
/// Parameters: weight [K, C/groups, kernel, kernel], and bias [K] if `bias`.
struct Conv2d {
  int out_channels = 0;
  int kernel = 3;
  int stride = 1;
  int padding = 1;
  int groups = 1;  // ResNeXt: 32
  bool bias = false;
};

/// Transposed convolution without bias ("up-convolution"): the data gradient of a convolution, as a
/// forward op.  Ronneberger et al. 2015, arXiv:1505.04597.
/// src [C,H,W] -> dst [K,H',W'],  H' = (H - 1)*stride - 2*padding + kernel.
/// Parameters: weight [C, K, kernel, kernel], as PyTorch's.
struct ConvTranspose2d {
  int out_channels = 0;
  int kernel = 2;
  int stride = 2;
  int padding = 0;
};

/// Batch normalization over N,H,W.  Ioffe & Szegedy 2015, arXiv:1502.03167.
/// Parameters: weight (gamma) and bias (beta) [C]; statistics: mean and var [C], running.
/// running = (1 - momentum) * running + momentum * batch, the variance unbiased.
struct BatchNorm {
  float momentum = 0.1f;
  float eps = 1e-5f;
  float gamma_init = 1.0f;
};

/// Group normalization over (C/groups),H,W of one image.  Wu & He 2018, arXiv:1803.08494.
/// groups = 1 is layer normalization over C,H,W (Ba et al. 2016, arXiv:1607.06450).
/// Parameters: weight and bias [C].
struct GroupNorm {
  int groups = 32;
  float eps = 1e-5f;
  float gamma_init = 1.0f;
};

enum class ActivationKind { kRelu, kLeakyRelu, kElu, kGelu, kSigmoid };

/// Elementwise. `alpha` is the slope below zero of LeakyReLU and the scale of ELU; GELU is exact (erf).
struct Activation {
  ActivationKind kind = ActivationKind::kRelu;
  float alpha = 0.0f;
};

/// dst = a + b; both of one shape.
struct Add {};

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

/// src [C,H,W] -> dst [C,1,1], the mean of every channel.
struct GlobalAveragePool {};

/// src [C,1,1] -> dst [out_features,1,1].  Parameters: weight [out_features, C], bias [out_features].
struct Linear {
  int out_features = 0;
  bool bias = true;
};

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

/// dst = alpha * src: residual scaling.
struct Scale {
  float alpha = 1.0f;
};

/// Squeeze-excitation's product: dst[c,h,w] = src[c,h,w] * gate[c].  Hu et al. 2018, arXiv:1709.01507.
/// Inputs: src [C,H,W], gate [C,1,1].
struct ChannelScale {};

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
    std::variant<Conv2d, ConvTranspose2d, BatchNorm, GroupNorm, Activation, Add, Concat, ChannelPad,
                 Pool, Upsample, GlobalAveragePool, Linear, Dropout, StochasticDepth, Scale,
                 ChannelScale, SoftmaxCrossEntropy, PixelCrossEntropy>;

/// The ops that end a graph: they have no output value.
inline bool is_loss(const OpAttributes& attributes) {
  return std::holds_alternative<SoftmaxCrossEntropy>(attributes) ||
         std::holds_alternative<PixelCrossEntropy>(attributes);
}

/// "conv2d", "batch_norm", ...: the op's kind as tables and messages print it.
std::string kind_name(const OpAttributes& attributes);

}  // namespace lockstep
