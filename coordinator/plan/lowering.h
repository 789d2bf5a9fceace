#pragma once
#include <vector>

#include "coordinator/plan/chain.h"
#include "coordinator/plan/draft_writer.h"
#include "coordinator/plan/index.h"
#include "coordinator/plan/stretch.h"
#include "layers/backend.h"

namespace lockstep {

/// A value's gradient from one of its consumers, or from a chunk of another stage.
struct Contribution {
  BufferId gradient = kNone;
  int chunk = 0;
};

/// A weight gradient that a later part computes (zero-bubble).
struct DeferredWeights {
  OpId op = kNone;
  BufferId diff_dst = kNone, src = kNone;
  int chunk = 0;
};

/// What has been made of one micro-batch so far; kNone: nothing yet, or forgotten.
struct MicroBatch {
  std::vector<BufferId> values;                          // by value
  std::vector<std::vector<Contribution>> contributions;  // by value, from the last chunk on
  std::vector<BufferId> affine, workspace;               // by op
  BufferId labels = kNone;                               // if they come from another stage
  std::vector<DeferredWeights> deferred;
};

/// What evaluation's forward has made since its lanes met.
struct EvaluationCuts {
  std::size_t packed_bytes = 0;
  Stretch made;
};

/// What replays need.
struct Replays {
  Chain chain;       // of blocks, which the steps of a recomputation speak of
  int earliest = 0;  // level: lanes meet before it
  Stretch made;
};

/// What the passes of lowering share: what is lowered, the draft, and what each micro-batch has.
struct Lowering {
  const Graph& graph;
  const Fusion& fusion;
  const Backend& backend;
  const PlanOptions& options;
  DraftWriter writer;
  std::vector<MicroBatch> micro_batches = {};
  Part part = {};  // whose calls are being added; the only one unless this is a stage
  EvaluationCuts cuts = {};
  Replays replays = {};

  void add_micro_batches();
  /// Makes `next` what calls are added to.
  void enter(const Part& next);
  MicroBatch& micro_batch() { return micro_batches[at(part.micro_batch)]; }
  BufferId& value(ValueId id) { return micro_batch().values[at(id)]; }

  /// The fused pass that an op is part of, or nullptr.
  const FusedNorm* group_of(OpId id) const;
  bool wants_gradient(ValueId value) const { return value != graph.input(); }
};

/// Ops whose kernels read weights in a layout of their own.
inline bool has_packed_weights(const Op& op) { return op.traits().weights == Weights::kPacked; }

}  // namespace lockstep
