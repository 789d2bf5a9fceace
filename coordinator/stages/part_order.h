#pragma once
#include "coordinator/stages/pipeline_forecast.h"
#include "coordinator/stages/placement.h"

namespace lockstep {

/// Fills pipeline.order; the pipeline has everything else but chunks' ops, which do not matter
/// here. One chunk a stage: gpipe and 1f1b by their closed forms. The rest by list scheduling on a
/// clock: whenever a stage is free it takes a backward if one is ready, else a forward if the stage
/// has room for one more micro-batch, else deferred weight gradients. Several rules of which
/// forward comes first are tried, and the shortest step is taken; equal inputs give equal orders.
///
/// Held at most on a stage, in micro-batches of one chunk: 1f1b S - s, zero-bubble S (what 1f1b
/// holds on its first stage), with V chunks a stage VS + S-1, gpipe all.
void order_parts(const PipelineSchedule& schedule, const PipelineTimes& times, Pipeline& pipeline);

}  // namespace lockstep
