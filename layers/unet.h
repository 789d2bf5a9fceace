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
  float dropout = 0.0f;     // at the end of the contracting path
};

UNet resolve_unet(const ModelOptions& options);

/// encoder1 (two 3x3 convolutions, 2x2 max pool) ... encoderL (no pool), decoderL-1 (up, join with
/// the encoder's last output, two 3x3 convolutions) ... decoder1, "fc" (1x1), "loss" of every
/// pixel.
Graph build_unet(const UNet& net, Shape input, int classes);

}  // namespace lockstep
