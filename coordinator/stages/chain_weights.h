#pragma once
#include "coordinator/plan/chain.h"
#include "coordinator/plan/machine_model.h"
#include "coordinator/stages/partition.h"
#include "layers/call.h"
#include "layers/optimizer.h"

namespace lockstep {

/// Seconds of every op for one rank's micro-batch, by op.
using OpTimes = std::vector<PartTimes>;

/// From FLOPs and bytes alone (parallel.probe = off).
OpTimes estimate_op_times(const Graph& graph, int images, const MachineModel& machine = {});

/// A graph's blocks as partition() sees them, for micro-batches of `images` images a rank.
ChainWeights chain_weights(const Graph& graph, const Fusion& fusion, Storage activations,
                           int images, const OpTimes& times,
                           const OptimizerRule& optimizer = Sgd::rule());

}  // namespace lockstep
