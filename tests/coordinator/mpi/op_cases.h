#pragma once
#include <functional>
#include <vector>

#include "layers/graph.h"

namespace lockstep {

/// An op under test, after a convolution and before a classifier.
struct OpCase {
  const char* name;
  std::function<ValueId(Graph&, ValueId)> body;
};

/// Every op, alone and with those that plans fuse it with.
std::vector<OpCase> op_cases();

ValueId conv(Graph& g, const char* name, ValueId x, int channels, int kernel = 3, int stride = 1);
ValueId relu(Graph& g, const char* name, ValueId x);

}  // namespace lockstep
