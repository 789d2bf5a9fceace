#pragma once
#include <functional>
#include <string>

#include "coordinator/plan/memory_report.h"
#include "coordinator/plan/recompute_choice.h"

namespace lockstep {

/// [memory], and what else decides what a rank needs.
struct MemoryLimits {
  RecomputeOptions recompute;    // kAuto: arena_bytes follows from the budget
  std::size_t budget_bytes = 0;  // of one rank, all that rank_memory() counts; 0: no limit
  bool of_machine = false;       // the budget is a rank's share of its machine, not the job's own
  // false: what needs more than the budget gets the plan that needs the least
  bool must_fit = true;
  bool advises = true;  // an error says what would fit, which takes making more plans
  MemoryQuestion question;
};

/// How training recomputes so that a rank keeps to its budget. `training` and `evaluation` are the
/// options of its plans, without recomputation. Pure but for making kernels.
/// @throws ConfigError if the job does not fit and must, with what it needs and what would make it fit.
Recomputation fit_memory(const Graph& graph, Backend& backend, const PlanOptions& training,
                         const PlanOptions& evaluation, const MemoryLimits& limits);

/// What a rank is about to take, for those who judge it together with others (coordinator/overcommit.h).
struct MemoryDemand {
  std::size_t bytes = 0;  // all that rank_memory() counts
  // into a smaller share of the machine; "": it fits
  std::function<std::string(std::size_t share_bytes)> what_would_fit;
};

}  // namespace lockstep
