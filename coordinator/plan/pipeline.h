#pragma once
#include <vector>

#include "layers/graph.h"

namespace lockstep {

/// A piece of a step on one stage.
enum class PartKind {
  kForward,
  kBackward,      // data and weight gradients
  kBackwardData,  // the data gradients alone; kBackwardWeights follows later (zero-bubble)
  kBackwardWeights,
};

struct Part {
  PartKind kind = PartKind::kForward;
  int chunk = 0;
  int micro_batch = 0;
  bool operator==(const Part&) const = default;
};

/// Ops first to last of a graph: what one stage runs without a message.
struct OpRange {
  OpId first = 0, last = 0;
  bool operator==(const OpRange&) const = default;
};

/// How one replica shares a step among its ranks: which ops, and when which micro-batch. Values go
/// from the chunk that makes them straight to the stages that read them; gradients go back.
/// For every chunk the parts of one kind come in the order of micro-batches, so sums over
/// micro-batches have the bits of one rank that accumulates.
struct Pipeline {
  int stages = 1;
  int micro_batches = 1;
  std::vector<OpRange> chunks;  // in the graph's order; together all ops
  std::vector<int> stage_of_chunk;
  std::vector<std::vector<Part>> order;  // by stage
};

}  // namespace lockstep
