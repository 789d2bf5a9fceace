#pragma once
#include <memory>
#include <optional>

#include "coordinator/engine.h"
#include "coordinator/stages/grid.h"
#include "coordinator/stages/pipeline_choice.h"

namespace lockstep {

/// The engine of a rank, and what was expected of it beforehand.
struct JobEngine {
  std::unique_ptr<Engine> engine;
  std::optional<PipelineChoice> pipeline;  // if the replica has stages
  std::size_t planned_bytes = 0;           // of this rank
  // of a step, by what its ops took in a probe, without messages; 0: none was made
  double predicted_seconds = 0;
};

/// `options` are those of a replica, `workers` all that train; `groups` are this rank's, if replicas
/// have stages, and must outlive the engine. Times the ops first where plans are chosen by times
/// (stages, recompute = auto), or if `predicts`. Without memory.budget_mib what all ranks will take is held against
/// their machines before they take it. Collective. @throws ConfigError.
JobEngine make_engine(const Job& job, Graph graph, RankOptions options, const Communicator& workers,
                      const GridGroups* groups, bool predicts = false);

}  // namespace lockstep
