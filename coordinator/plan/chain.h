#pragma once
#include <string>
#include <vector>

#include "coordinator/plan/fuse.h"

namespace lockstep {

/// A model as a chain of blocks: what recomputation forgets and replays, and where stages are cut.
/// A block is a stretch of ops whose names agree in all but the last component, of at most two
/// ("group1.block0.se.fc1" is of group1.block0); names of one component are the head's.
struct Chain {
  struct Block {
    std::string name;
    OpId first = 0, last = 0;
    std::vector<ValueId> made;     // values that exist in memory (not those inside a fused norm)
    std::vector<ValueId> outputs;  // of them, what later blocks read
  };
  std::vector<Block> blocks;
  std::vector<int> block_of;        // by op
  std::vector<bool> read_backward;  // by value: backward reads it, or what forward wrote beside it
  std::vector<bool> long_skip;      // by value: read by a block after the next one

  int size() const { return static_cast<int>(blocks.size()); }
};

/// `training`: dropout and the like are real, not identities.
Chain chain_of(const Graph& graph, const Fusion& fusion);

/// Ops that do nothing under these options: their output is their input's memory.
bool is_identity(const Op& op, bool training);

}  // namespace lockstep
