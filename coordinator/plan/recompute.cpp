#include "coordinator/plan/recompute.h"

#include <algorithm>
#include <cmath>

#include "coordinator/plan/index.h"

namespace lockstep {

namespace {

/// What backward reads of the blocks from `first` to `last`, in the graph's order.
std::vector<ValueId> tape_of(const Chain& chain, int first, int last) {
  std::vector<ValueId> tape;
  for (int b = first; b <= last; ++b)
    std::ranges::copy_if(chain.blocks[at(b)].made, std::back_inserter(tape),
                         [&](ValueId v) { return chain.read_backward[at(v)]; });
  return tape;
}

}  // namespace

Recomputation recompute_every(const Chain& chain, int blocks) {
  Recomputation how;
  how.keep.assign(chain.read_backward.size(), false);
  const int last_segment = (chain.size() - 1) / blocks * blocks;
  for (int first = last_segment; first >= 0; first -= blocks) {
    const int last = std::min(first + blocks, chain.size()) - 1;
    const std::vector<ValueId> tape = tape_of(chain, first, last);
    if (first == last_segment)
      for (ValueId v : tape) how.keep[at(v)] = true;
    else if (!tape.empty())
      how.steps.push_back({RecomputeStep::Kind::kReplay, first, last, tape});
    how.steps.push_back({RecomputeStep::Kind::kBackward, first, last, {}});
    // What the next segment reads: its checkpoint. What blocks further on read is kept, too.
    for (ValueId v : chain.blocks[at(last)].outputs) how.keep[at(v)] = true;
    for (int b = first; b <= last; ++b)
      for (ValueId v : chain.blocks[at(b)].outputs)
        if (chain.long_skip[at(v)]) how.keep[at(v)] = true;
  }
  return how;
}

Recomputation recompute_sqrt(const Chain& chain) {
  const double root = std::sqrt(static_cast<double>(chain.size()));
  return recompute_every(chain, std::max(1, static_cast<int>(std::lround(root))));
}

}  // namespace lockstep
