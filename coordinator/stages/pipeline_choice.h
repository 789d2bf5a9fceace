#pragma once
#include <string>

#include "coordinator/stages/chain_weights.h"
#include "coordinator/stages/placement.h"

namespace lockstep {

/// What a user decides about pipelines.
struct PipelineOptions {
  int stages = 1;
  int micro_batches = 1;
  PipelineSchedule schedule;
  std::vector<std::string>
      cuts;                // blocks at which chunks begin, besides the first; empty: the best
  double stage_bytes = 0;  // that a stage should not exceed if that is possible; 0: any
  MachineModel machine = {};
};

/// A pipeline and what it is expected to do.
struct PipelineChoice {
  Pipeline pipeline;
  PipelineTimes times;                 // of its chunks, for one micro-batch
  std::vector<std::string> begins;     // by chunk: the name of its first block
  std::vector<double> received_bytes;  // by chunk: values from other stages, for one micro-batch
};

/// Cuts a model, places the chunks and orders their parts. @throws ConfigError.
PipelineChoice choose_pipeline(const Graph& graph, const ChainWeights& weights,
                               const PipelineOptions& options);

}  // namespace lockstep
