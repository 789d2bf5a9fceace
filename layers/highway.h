#pragma once
#include <vector>

#include "layers/model_architecture.h"
#include "layers/model_keys.h"

namespace lockstep {

/// A convolutional highway network with every default resolved.  Srivastava et al. 2015,
/// arXiv:1505.00387; with norms.
struct Highway : LayerOptions {
  std::vector<BlockCount> groups;
  float gate_bias = -2.0f;
  float dropout = 0.0f;  // before the classifier
};

Highway resolve_highway(const ModelOptions& options);

/// "stem" (3x3), then group1.block0: conv - norm - relu beside gate.conv - gate.sigmoid, joined
/// with the input by "lerp". Where channels change lies a plain layer: group2.down (3x3/2 - norm -
/// relu).
Graph build_highway(const Highway& net, Shape input, int classes);

}  // namespace lockstep
