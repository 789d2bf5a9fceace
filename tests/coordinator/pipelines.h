#pragma once
#include <vector>

#include "coordinator/chain.h"
#include "coordinator/pipeline.h"

namespace lockstep {

/// Pipelines made by hand, for tests.

/// `count` chunks of about as many blocks each, chunk c on stage c.
inline Pipeline cut_evenly(const Graph& graph, int count) {
  const Chain chain = chain_of(graph, fuse(graph));
  Pipeline p{.stages = count};
  for (int c = 0; c < count; ++c) {
    const auto begin = static_cast<std::size_t>(chain.size() * c / count);
    const auto end = static_cast<std::size_t>(chain.size() * (c + 1) / count);
    p.chunks.push_back({chain.blocks[begin].first, chain.blocks[end - 1].last});
    p.stage_of_chunk.push_back(c);
  }
  return p;
}

/// All forward, then all backward.
inline Pipeline gpipe(Pipeline p, int micro_batches) {
  p.micro_batches = micro_batches;
  p.order.assign(static_cast<std::size_t>(p.stages), {});
  for (PartKind kind : {PartKind::kForward, PartKind::kBackward})
    for (int m = 0; m < micro_batches; ++m)
      for (std::size_t c = 0; c < p.chunks.size(); ++c)
        p.order[static_cast<std::size_t>(p.stage_of_chunk[c])].push_back({kind, static_cast<int>(c), m});
  return p;
}

}  // namespace lockstep
