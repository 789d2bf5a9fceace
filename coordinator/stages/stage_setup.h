#pragma once
#include "coordinator/job.h"
#include "coordinator/plan/rank_options.h"
#include "coordinator/stages/pipeline_choice.h"

namespace lockstep {

/// What a job says of stages. @throws ConfigError.
PipelineOptions pipeline_options(const Job& job);

/// The pipeline of a job whose replicas have `options`. Pure.
PipelineChoice choose_stages(const Job& job, const Graph& graph, const RankOptions& options,
                             const OpTimes& times);

/// A replica's options as those of one of its stages.
RankOptions stage_options(RankOptions replica, const Pipeline& pipeline, int stage);

/// By op: which stage runs it.
std::vector<int> stage_of_ops(const Graph& graph, const Pipeline& pipeline);

/// "3 stages, 1f1b, chunks from stem, group2.block0, group3.block1; expected bubble 18.2%".
std::string describe(const PipelineChoice& choice, const std::string& schedule);

/// Runs the messages of a plan against those of the other stages, before a step does. Collective among
/// the stages of a replica. @throws InternalError that names what does not match.
void check_stages(const Plan& plan, const Communicator& same_replica);

}  // namespace lockstep
