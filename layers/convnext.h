#pragma once
#include <vector>

#include "layers/model_architecture.h"
#include "layers/model_keys.h"

namespace lockstep {

/// A ConvNeXt with every default resolved.  Liu et al. 2022, arXiv:2201.03545.
struct ConvNeXt : LayerOptions {
  std::vector<BlockCount> groups;
  int patch = 4;              // side of the stem's patches
  int ratio = 4;              // channels inside a block / outside
  float layer_scale = 1e-6f;  // where it starts
  float dropout = 0.0f;       // before the classifier
};

ConvNeXt resolve_convnext(const ModelOptions& options, Shape input);

/// stem: conv of patches, norm. group1.block0: conv1 (depthwise 7x7), norm (over channels), conv2
/// (1x1 to `ratio` times the width), gelu, conv3 (1x1 back), layer_scale, add. Between groups lie
/// group2.downsample: norm, conv 2x2/2. Then pool, norm, "fc", "loss".
Graph build_convnext(const ConvNeXt& net, Shape input, int classes);

}  // namespace lockstep
