#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "coordinator/plan/chain.h"
#include "coordinator/plan/pipeline.h"

namespace lockstep {

// Pipelines made by hand, for tests.

/// A graph in `count` chunks of about as many blocks each.
inline std::vector<OpRange> cut_evenly(const Graph& graph, int count) {
  const Chain chain = chain_of(graph, fuse(graph));
  std::vector<OpRange> chunks;
  for (int c = 0; c < count; ++c) {
    const auto begin = static_cast<std::size_t>(chain.size() * c / count);
    const auto end = static_cast<std::size_t>(chain.size() * (c + 1) / count);
    chunks.push_back({chain.blocks[begin].first, chain.blocks[end - 1].last});
  }
  return chunks;
}

/// Chunk c on stage c.
inline Pipeline linear_pipeline(const Graph& graph, int stages, int micro_batches) {
  Pipeline p{.stages = stages, .micro_batches = micro_batches};
  p.chunks = cut_evenly(graph, stages);
  for (int c = 0; c < stages; ++c) p.stage_of_chunk.push_back(c);
  p.order.resize(static_cast<std::size_t>(stages));
  return p;
}

/// Two chunks a stage: chunk c on stage c mod S, or the other way round on the way back.
inline Pipeline two_chunk_pipeline(const Graph& graph, int stages, int micro_batches, bool folded) {
  Pipeline p{.stages = stages, .micro_batches = micro_batches};
  p.chunks = cut_evenly(graph, 2 * stages);
  for (int c = 0; c < 2 * stages; ++c)
    p.stage_of_chunk.push_back(folded ? std::min(c, 2 * stages - 1 - c) : c % stages);
  p.order.resize(static_cast<std::size_t>(stages));
  return p;
}

/// All forward, then all backward.
inline Pipeline gpipe(Pipeline p) {
  const int chunks = static_cast<int>(p.chunks.size());
  const auto add = [&](PartKind kind, int c, int m) {
    p.order[static_cast<std::size_t>(p.stage_of_chunk[static_cast<std::size_t>(c)])].push_back(
        {kind, c, m});
  };
  for (int m = 0; m < p.micro_batches; ++m)
    for (int c = 0; c < chunks; ++c) add(PartKind::kForward, c, m);
  for (int m = 0; m < p.micro_batches; ++m)
    for (int c = chunks - 1; c >= 0; --c) add(PartKind::kBackward, c, m);
  return p;
}

/// One forward, one backward: stage s has at most S - s micro-batches in flight. Linear only.
inline Pipeline one_f_one_b(Pipeline p) {
  for (int s = 0; s < p.stages; ++s) {
    auto& order = p.order[static_cast<std::size_t>(s)];
    int forward = 0;
    for (int backward = 0; backward < p.micro_batches; ++backward) {
      for (; forward < std::min(p.micro_batches, backward + p.stages - s); ++forward)
        order.push_back({PartKind::kForward, s, forward});
      order.push_back({PartKind::kBackward, s, backward});
    }
  }
  return p;
}

/// The weight gradients of a part follow after the data gradients of the next one.
inline Pipeline split_backward(Pipeline p) {
  for (auto& order : p.order) {
    std::vector<Part> split, late;
    for (Part part : order) {
      if (part.kind == PartKind::kBackward) {
        split.push_back({PartKind::kBackwardData, part.chunk, part.micro_batch});
        late.push_back({PartKind::kBackwardWeights, part.chunk, part.micro_batch});
      } else {
        split.push_back(part);
      }
      if (late.size() < 2) continue;
      split.push_back(late.front());
      late.erase(late.begin());
    }
    split.insert(split.end(), late.begin(), late.end());
    order = std::move(split);
  }
  return p;
}

}  // namespace lockstep
