#pragma once
#include <vector>

#include "layers/model_architecture.h"

namespace lockstep {

/// A U-Net with every word resolved.  Ronneberger et al. 2015, arXiv:1505.04597; with norms, and
/// with padding, so that the output is as large as the input, which must be a multiple of
/// 2^(levels - 1).
struct UNet : LayerOptions {
  std::vector<int> widths;  // channels per level, from the full resolution down
  bool concat = true;       // else the skip is added
  bool transposed = true;   // up-convolution; else 1x1 convolution and bilinear enlargement
  bool residual = false;    // the two convolutions of a level beside a shortcut
  float last_gamma = 1.0f;  // residual: of the branch's last norm
  float dropout = 0.0f;     // at the end of the contracting path
};

UNet resolve_unet(const ModelOptions& options);

/// Residual levels are basic blocks (blocks.h): conv1 - norm1 - relu1 - conv2 - norm2, sum with the shortcut, relu2. The
/// shortcut is projection - projection_norm (1x1) where channels change and in encoder1, else x itself. Norms come after
/// convolutions, unlike in Zhang et al. 2018, arXiv:1711.10684, and levels are halved by max pools.
/// encoder1 (two 3x3 convolutions, 2x2 max pool) ... encoderL (no pool), decoderL-1 (up, join with
/// the encoder's last output, two 3x3 convolutions) ... decoder1, "fc" (1x1), "loss" of every
/// pixel.
Graph build_unet(const UNet& net, Shape input, int classes);

}  // namespace lockstep
