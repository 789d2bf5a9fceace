#pragma once
#include <string>
#include <vector>

#include "layers/graph.h"
#include "layers/model.h"

namespace lockstep {

/// What is hardly meant, though it can be built: a network for small images on large ones, a stem that leaves
/// single pixels, thousands of patches. One sentence each, with the key to set; what the job says itself
/// (stem = cifar at 224 pixels) is meant. `graph` is build_model's.
std::vector<std::string> model_doubts(const ModelOptions& options, const Graph& graph);

}  // namespace lockstep
