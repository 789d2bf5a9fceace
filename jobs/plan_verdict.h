#pragma once
#include <cstddef>
#include <string>

#include "coordinator/job.h"
#include "jobs/planned_needs.h"

namespace lockstep {

/// A plan held against a machine.
struct PlanVerdict {
  std::size_t rank_bytes = 0;     // planned, and kProgramBytes
  int node_ranks = 1;             // of the fullest node
  std::size_t machine_bytes = 0;  // that the ranks of a node may use
  bool fits() const { return rank_bytes * static_cast<std::size_t>(node_ranks) <= machine_bytes; }
};

/// For `ranks` ranks that are spread evenly over `nodes` machines, each with `machine_bytes`.
PlanVerdict judge(const PlannedNeeds& needs, int ranks, int nodes, std::size_t machine_bytes);

/// Three lines: whether it fits, seconds a step, hours for the job.
std::string verdict_text(const PlanVerdict& verdict, const PlannedNeeds& needs);

/// One object of JSON: the verdict, the needs, and what each stage holds and sends; bytes and seconds.
std::string plan_json(const Job& job, const PlanInput& in, const PlanVerdict& verdict, const PlannedNeeds& needs);

}  // namespace lockstep
