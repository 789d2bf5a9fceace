#pragma once
#include "coordinator/plan/memory_report.h"
#include "coordinator/plan/recompute_choice.h"

namespace lockstep {

/// [memory], and what else decides what a rank needs.
struct MemoryLimits {
  RecomputeOptions recompute;    // kAuto: arena_bytes follows from the budget
  std::size_t budget_bytes = 0;  // of one rank, all that rank_memory() counts; 0: no limit
  MemoryQuestion question;
};

/// How training recomputes so that a rank keeps to its budget. `training` and `evaluation` are the
/// options of its plans, without recomputation. Pure but for making kernels.
/// @throws ConfigError if the job does not fit, with what it needs and what would make it fit.
Recomputation fit_memory(const Graph& graph, Backend& backend, const PlanOptions& training,
                         const PlanOptions& evaluation, const MemoryLimits& limits);

}  // namespace lockstep
