#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

/// Transposed convolution without bias ("up-convolution"): the data gradient of a convolution, as a
/// forward op.  Ronneberger et al. 2015, arXiv:1505.04597.
/// src [C,H,W] -> dst [K,H',W'],  H' = (H - 1)*stride - 2*padding + kernel.
/// Parameters: weight [C, K, kernel, kernel], as PyTorch's.
struct ConvTranspose2d {
  int out_channels = 0;
  int kernel = 2;
  int stride = 2;
  int padding = 0;

  OpTraits traits() const;
  Shape shape(const ShapeSite& site) const;
  OpTensors tensors(const std::string& name, const Shape& src) const;
  OpCost cost(const CostSite& site) const;
  BackwardNeeds backward_needs(const Shape& dst) const;
  bool fits_blocks(const LayoutSite& site) const;
  std::string bf16_obstacle(const StorageSite& site) const;
  std::string evaluation_text() const;
};

}  // namespace lockstep
