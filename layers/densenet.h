#pragma once
#include <vector>

#include "layers/model_architecture.h"

namespace lockstep {

/// A DenseNet with every default resolved.  Huang et al. 2017, arXiv:1608.06993.
struct DenseNet : LayerOptions {
  StemKind stem = StemKind::kCifar;
  int stem_width = 16;
  bool bottleneck = false;  // a 1x1 convolution to 4 * growth channels before the 3x3
  int growth = 12;
  float compression = 1.0f;
  float dropout = 0.0f;     // after every convolution of a layer
  std::vector<int> counts;  // layers per dense block
};

/// @throws ConfigError for an impossible depth, naming the valid ones, or another value.
DenseNet resolve_densenet(const ModelOptions& options, Shape input);

/// Dense blocks are called groups and their layers blocks, as in the other families:
/// group1.block0 is [norm1 - relu1 - conv1 1x1 - norm2 - relu2 - conv2 3x3] - concat. Between
/// groups lie group1.transition: norm - relu - conv 1x1 - 2x2 average pool.
Graph build_densenet(const DenseNet& net, Shape input, int classes);

}  // namespace lockstep
