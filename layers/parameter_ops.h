#pragma once

namespace lockstep {

// The attributes of the ops that have parameters. Shapes are per image, [C,H,W].

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
  float bias_init = 0.0f;
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

/// Layer normalization of every pixel over its channels.  Ba et al. 2016, arXiv:1607.06450.
/// Parameters: weight and bias [C].
struct LayerNorm {
  float eps = 1e-5f;
};

/// dst[c,h,w] = weight[c] * src[c,h,w].  Touvron et al. 2021, arXiv:2103.17239.
/// Parameters: weight [C], at first `init`.
struct LayerScale {
  float init = 1e-6f;
};

/// A learned position: dst = src + weight.  Dosovitskiy et al. 2021, arXiv:2010.11929.
/// Parameters: weight [H,W,C].
struct PositionEmbedding {};

/// src [C,1,1] -> dst [out_features,1,1].  Parameters: weight [out_features, C], bias
/// [out_features].
struct Linear {
  int out_features = 0;
  bool bias = true;
};

}  // namespace lockstep
