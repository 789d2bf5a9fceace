#pragma once
#include "coordinator/plan/draft.h"
#include "coordinator/plan/fuse.h"

namespace lockstep {

/// Pass 2: the calls of forward, loss, backward and update in an order of dependency, with the
/// buffers that they read and write. Every buffer is written by one call (or one per lane or input)
/// and then only read, so nothing depends on the order in which consumers run: a value's gradient
/// from several consumers is summed by the pass that reads it (batch norm takes two), else by kSum.
Draft lower(const Graph& graph, const Fusion& fusion, const Backend& backend,
            const PlanOptions& options);

}  // namespace lockstep
