#pragma once
#include "coordinator/plan/memory_report.h"
#include "coordinator/stages/stage_setup.h"

namespace lockstep {

/// What one stage of a replica needs, does and sends in a step.
struct StageReport {
  std::vector<std::string> blocks;  // by chunk: "group2.block0 to group3.block1"
  int ops = 0;
  int held = 0;  // micro-batches of a chunk between forward and backward, at most
  std::vector<MemoryGroup> memory;
  Traffic traffic;
  double busy_seconds = 0;  // computing
  bool replays = false;     // memory.recompute makes it compute values again
};

struct PipelineReport {
  std::vector<StageReport> stages;
  double seconds = 0;  // of a step
  double bubble = 0;   // part of the stages' time in which they wait for each other

  std::size_t most_memory() const;       // of a rank
  std::size_t stage_bytes_sent() const;  // by all stages of a replica in a step
};

/// Plans every stage to the end, as its ranks do. `options` are those of a replica; `times` of its
/// micro-batch. One stage is a pipeline, too. @throws ConfigError if a stage does not fit the budget.
PipelineReport report_pipeline(const Graph& graph, const RankOptions& options,
                               const PipelineChoice& choice, const OpTimes& times);

/// Of a step of a pipeline whose ranks have no plans yet, without recomputation: computing, waiting for
/// other stages, updating, and what gradients' sums over the replicas take beyond the last backward.
double step_seconds(const Graph& graph, const RankOptions& options, const PipelineChoice& choice,
                    const PipelineTimes& times, const MachineModel& machine = {});

}  // namespace lockstep
