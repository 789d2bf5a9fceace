#pragma once
#include <memory>

#include "coordinator/engine.h"
#include "coordinator/grid.h"
#include "coordinator/pipeline_choice.h"

namespace lockstep {

/// What a job says of stages. @throws ConfigError.
PipelineOptions pipeline_options(const Job& job);

/// Times of a micro-batch of one replica as the job wants them known: measured by all ranks of `workers` at
/// once, or estimated. Collective.
OpTimes op_times(const Job& job, const Graph& graph, const EngineOptions& options, const Communicator& workers);

/// The pipeline of a job whose replicas have `options`. Pure.
PipelineChoice choose_stages(const Job& job, const Graph& graph, const EngineOptions& options, const OpTimes& times);

/// By op: which stage runs it.
std::vector<int> stage_of_ops(const Graph& graph, const Pipeline& pipeline);

/// "3 stages, 1f1b, chunks from stem, group2.block0, group3.block1; expected bubble 18.2%".
std::string describe(const PipelineChoice& choice, const std::string& schedule);

/// Runs the messages of a plan against those of the other stages, before a step does. Collective among
/// the stages of a replica. @throws InternalError that names what does not match.
void check_stages(const Plan& plan, const Communicator& same_replica);

/// A job's pipeline, and the engine of this rank's stage of it.
struct StageEngine {
  PipelineChoice choice;
  std::unique_ptr<Engine> engine;
};

/// Chooses, makes and checks. `options` are those of a replica; `groups`, of this one among `workers`,
/// must outlive the engine. Collective. @throws ConfigError.
StageEngine make_stage_engine(const Job& job, Graph graph, EngineOptions options, const Communicator& workers,
                              const GridGroups& groups);

}  // namespace lockstep
