#pragma once
#include <string>
#include <vector>

#include "coordinator/plan/chain.h"

namespace lockstep {

/// One entry of a backward pass that recomputes.
struct RecomputeStep {
  enum class Kind {
    kReplay,    // compute `keep` again, from `first` on, and forget what else that took
    kBackward,  // from `last` down to `first`; what that reads and lacks is replayed there
  };
  Kind kind = Kind::kBackward;
  int first = 0, last = 0;    // blocks
  std::vector<ValueId> keep;  // kReplay: values of these blocks, in the graph's order
};

/// What stays in memory after forward, and how backward gets the rest again. Nothing here changes a
/// bit of the result: replays use the batch statistics of forward.
struct Recomputation {
  std::vector<bool> keep;            // by value; empty: everything
  std::vector<RecomputeStep> steps;  // empty: backward from the last block to the first
};

/// Keeps outputs of every `blocks`-th block, and replays the blocks in between when backward comes
/// to them. The last ones are kept whole: backward follows at once.
Recomputation recompute_every(const Chain& chain, int blocks);

/// recompute_every with the square root of the chain's length (Chen et al. 2016, arXiv:1604.06174).
Recomputation recompute_sqrt(const Chain& chain);

}  // namespace lockstep
