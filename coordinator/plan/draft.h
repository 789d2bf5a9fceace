#pragma once
#include <vector>

#include "coordinator/plan/pipeline.h"
#include "coordinator/plan/recompute.h"
#include "layers/backend.h"
#include "layers/layout.h"
#include "layers/optimizer.h"
#include "worker/plan.h"

namespace lockstep {

/// Where a call of a draft runs.
enum class Place {
  kLane,     // per image, by the lanes
  kTeam,     // after the lanes of its level: folding gradients, packing weights
  kCombine,  // thread 0, before the level's message
  kFinish,   // thread 0, after it
  kTail,     // at the end of the plan, in the draft's order: loss, norm, update
};

/// A call on its way into a plan. The level counts how many times ranks must meet before it can run.
struct DraftCall {
  Call call;
  Place place = Place::kLane;
  int level = 0;
  int part = 0;  // of the stage's order
};

/// A message on its way into a plan.
struct DraftMessage {
  static constexpr int kEnd = 1 << 30;  // after all levels
  Message message;
  int level = 0;  // at whose boundary
};

/// A plan before its calls are grouped into phases and its buffers have addresses.
struct Draft {
  std::vector<DraftCall> calls;  // every call after those that it depends on
  std::vector<Buffer> buffers;
  std::vector<int> parameter_level;    // by parameter: the level whose boundary has its gradient
  std::vector<BufferId> level_sums;    // by level: what its message reduces, kNone if nothing
  std::vector<DraftMessage> sends;     // at the start of a boundary
  std::vector<DraftMessage> arrivals;  // at its end: sends that must have arrived, and receives
  int transfers = 0;
  BufferId loss_sums = kNone, gradient_norm = kNone, norm_partials = kNone;
  std::vector<BufferId> logits;  // by micro-batch

  Buffer& buffer(BufferId id) { return buffers[static_cast<std::size_t>(id)]; }
};

struct PlanOptions {
  bool training = true;
  bool batch_statistics = true;  // false: batch norm uses running statistics (evaluation)
  bool sync_bn = true;           // reduce batch norm's sums across ranks
  int lanes = 1;
  int max_images = 1;  // of a micro-batch on this rank
  LayoutKind layout = LayoutKind::kNhwc;
  Storage activations = Storage::kF32;
  std::size_t bucket_bytes = 4u << 20;
  Recomputation recompute;
  Pipeline pipeline;  // of one stage or more; without an order: one rank, one micro-batch a plan
  int stage = 0;      // this rank's
  OptimizerRule optimizer = Sgd::rule();

  bool staged() const { return !pipeline.order.empty(); }
};

/// The tensors that a rank with these plans holds.
OwnedTensors owned_tensors(const Graph& graph, const PlanOptions& options);

}  // namespace lockstep
