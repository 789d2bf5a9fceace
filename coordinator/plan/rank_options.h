#pragma once
#include "coordinator/job.h"
#include "coordinator/plan/memory_budget.h"
#include "coordinator/plan/planner.h"
#include "worker/comm/all_reduce.h"

namespace lockstep {

/// All that decides what a rank does in a step and what it takes: a job's keys as they are meant on this grid and CPU.
struct RankOptions {
  // Of a training step, without recomputation. Without an order of its pipeline the rank runs the whole model, and the
  // caller loops over micro-batches; evaluation runs the pipeline's forward parts.
  PlanOptions plan;
  int micro_batches = 1;  // of a step
  int replicas = 1;       // ranks that sum gradients
  Optimizer optimizer;
  double clip_norm = 0;
  bool winograd = true;
  AllReduceOptions all_reduce;
  MemoryLimits memory;  // whose question plan_rank() completes
};

/// How a graph's activations are stored with train.precision = `precision` on this CPU. auto is bf16
/// with AMX, else f32: without AMX our f32 convolutions are as fast (layers/README.md).
/// @throws ConfigError if bf16 is asked for and the CPU or the graph does not allow it.
Storage choose_storage(const std::string& precision, const Graph& graph);

/// [optimizer] as the update knows it.
Optimizer make_optimizer(const OptimizerOptions& options);

/// Options of a job's rank with `lanes` threads, one of `replicas`, before its replica is cut into stages.
RankOptions rank_options(const Job& job, const Graph& graph, int replicas, int lanes);

}  // namespace lockstep
