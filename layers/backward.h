#pragma once
#include <cstddef>

#include "layers/graph.h"

namespace lockstep {

/// What an op's backward reads besides the gradient of its output.
struct BackwardNeeds {
  bool src = false;                 // its input(s)
  bool dst = false;                 // its output
  std::size_t workspace_bytes = 0;  // per image, written by forward
  bool alias = false;               // the input's gradient is the output's gradient itself
};

BackwardNeeds backward_needs(const Graph& graph, const Op& op);

}  // namespace lockstep
