#pragma once
#include "coordinator/plan/draft.h"
#include "coordinator/plan/message_check.h"

namespace lockstep {

/// graph -> plan: fuse, lower, bucket, schedule, allocate, switches. Pure: the same graph and options give the
/// same plan on every rank.
Plan make_plan(const Graph& graph, const Backend& backend, const PlanOptions& options);

/// Hash of everything that must agree among ranks before the first step: the order and kinds of
/// calls, chunks, messages and their sizes (not addresses, which depend on a rank's images).
std::uint64_t plan_hash(const Plan& plan);

/// What the plan of a stage says to other stages, for check_messages().
std::vector<StageAction> stage_actions(const Plan& plan);

}  // namespace lockstep
