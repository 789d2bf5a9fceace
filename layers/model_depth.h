#pragma once
#include <vector>

#include "layers/model.h"

namespace lockstep {

/// Images below this height are small: the stem `auto` keeps their resolution.
constexpr int kSmallImage = 64;

/// What a published depth stands for.
struct BlockPattern {
  bool cifar = true;  // three groups; else the four of an ImageNet network
  bool bottleneck = false;
  std::vector<int> counts;  // blocks per group
};

/// The blocks of a family (not custom) at options.depth, as the table of ModelOptions tells.
/// @throws ConfigError naming the depths that the family takes, the nearest ones first.
BlockPattern blocks_of_depth(const ModelOptions& options, Shape input);

}  // namespace lockstep
