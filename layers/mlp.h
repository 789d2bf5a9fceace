#pragma once
#include <vector>

#include "layers/model_architecture.h"
#include "layers/model_keys.h"

namespace lockstep {

/// A residual network of linear layers (blocks as in He et al. 2016, arXiv:1603.05027) with every
/// default resolved.
struct Mlp : LayerOptions {
  std::vector<BlockCount> groups;
  int ratio = 1;         // features inside a block / outside
  float dropout = 0.0f;  // in a block, before its second linear layer
};

Mlp resolve_mlp(const ModelOptions& options);

/// stem.flatten - stem.fc, then group1.block0: norm1 - relu1 - fc1 - norm2 - relu2 - fc2, and add.
/// Where features change lies group2.transition.fc. Then final.norm - final.relu - "fc" - "loss".
Graph build_mlp(const Mlp& net, Shape input, int classes);

}  // namespace lockstep
