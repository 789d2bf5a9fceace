#pragma once
#include <cstddef>

#include "coordinator/plan/planner.h"
#include "coordinator/plan/recompute_costs.h"

namespace lockstep {

enum class RecomputeKind { kKeepAll, kEvery, kSqrt, kAuto };

/// [memory] recompute.
struct RecomputeOptions {
  RecomputeKind kind = RecomputeKind::kKeepAll;
  int every = 0;                // kEvery: blocks
  std::size_t arena_bytes = 0;  // kAuto: what the arena may take; 0: no limit
  ReplaySeconds seconds;        // kAuto: measured (coordinator/probe.h), else estimated
};

/// "none", "every:4", "sqrt" or "auto". @throws ConfigError.
RecomputeOptions parse_recompute(const std::string& text);

/// How training recomputes. kAuto takes the solver's fastest answer whose plan, made to the end, fits.
/// If none does, the one that needs the least: the caller compares. Pure: the same on every rank.
/// `options` are those of the training plan, without recomputation.
Recomputation choose_recomputation(const Graph& graph, const Backend& backend,
                                   const PlanOptions& options, const RecomputeOptions& recompute);

}  // namespace lockstep
