#pragma once
#include <vector>

#include "layers/graph.h"

namespace lockstep {

/// A batch norm with what runs in the same pass over memory: y = relu(norm(x) + residual).
struct FusedNorm {
  OpId norm = kNone;
  OpId add = kNone;          // kNone: no residual
  OpId relu = kNone;         // kNone: no ReLU
  ValueId residual = kNone;  // the other input of `add`
  ValueId output = kNone;    // of the last op of the group
  OpId last = kNone;         // where the group runs: its last op's position
};

/// Which ops run together. Every op that is not part of a group stands alone.
struct Fusion {
  std::vector<FusedNorm> groups;
  std::vector<int> group_of;  // by op: index into groups, or kNone
};

/// Pass 1: batch norm -> [add] -> [ReLU], where nothing else reads the values in between.
Fusion fuse(const Graph& graph);

}  // namespace lockstep
