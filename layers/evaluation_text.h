#pragma once
#include <string>

#include "layers/graph.h"

namespace lockstep {

/// What a network computes in evaluation, an op a line. Graphs of one text compute the same from the same tensors.
/// Left out is what counts in training only (dropout, stochastic depth, the momentum of running statistics, label
/// smoothing), how parameters begin, and the input's height and width.
std::string evaluation_text(const Graph& graph);

}  // namespace lockstep
