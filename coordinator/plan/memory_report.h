#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "layers/backend.h"
#include "layers/layout.h"
#include "layers/optimizer.h"
#include "worker/comm/all_reduce.h"
#include "worker/plan.h"

namespace lockstep {

struct MemoryPart {
  std::string name;
  std::size_t bytes = 0;
};

/// Parts that belong together; they sum to the group.
struct MemoryGroup {
  std::string name;
  std::vector<MemoryPart> parts;
  std::size_t bytes() const;
};

/// Where the arena of a plan is fullest. What lives there and the gaps sum to plan.arena_bytes.
struct ArenaPeak {
  int call = kNone;              // the first of Plan::calls at which it is so
  std::vector<MemoryPart> live;  // by kind of buffer, and chunks of the lanes; none of 0 bytes
  std::size_t gaps = 0;          // alignment, and holes that no buffer fits into: fragmentation
};
ArenaPeak arena_peak(const Plan& plan);

/// Bytes of scratch that each lane needs for micro-batches of plan.max_images. Makes the kernels as
/// the executor does, and runs none. @throws InternalError as Backend::make_kernel.
std::size_t lane_scratch_bytes(const Plan& plan, Backend& backend);

/// What decides the memory of a rank besides its plans.
struct MemoryQuestion {
  int workers = 1;  // ranks that train
  AllReduceOptions all_reduce;
  int prefetch = 3;               // batches that the loader keeps ahead
  bool validates = true;          // a second loader, with the first one's memory beside it
  std::size_t dataset_bytes = 0;  // samples that a rank holds in memory
  bool loads = true;              // false: a later stage, whose images the first one loads
  OwnedTensors owned = {};        // of the model's; a stage holds its own
  OptimizerRule optimizer = Sgd::rule();
};

/// The memory of the rank that needs the most, group by group: to the byte what lockstep asks for.
/// What the operating system, MPI and oneDNN's generated code take is not in it.
/// Pure but for making kernels. `eval` is the plan of evaluation, which shares the arena.
std::vector<MemoryGroup> rank_memory(const Graph& graph, const Plan& train, const Plan& eval,
                                     Backend& backend, const MemoryQuestion& question);

std::size_t total_bytes(const std::vector<MemoryGroup>& groups);

/// What ranks send each other in one step.
struct Traffic {
  std::vector<std::size_t> bucket_bytes;  // of gradients, by bucket
  int sync_messages = 0;                  // batch norm's sums, over all micro-batches of a step
  std::size_t sync_bytes = 0;             // in them
  std::size_t loss_bytes = 0;
  int stage_messages = 0;  // to other stages: values, gradients, labels
  std::size_t stage_bytes_sent = 0;
  // By the rank that sends the most, with our ring and recursive doubling.
  std::size_t gradient_bytes_sent = 0;  // 2(P-1)/P of the gradients
  std::size_t sync_bytes_sent = 0;

  std::size_t gradient_bytes() const;
};
Traffic step_traffic(const Plan& plan, int ranks, int micro_batches,
                     const AllReduceOptions& options = {});

}  // namespace lockstep
