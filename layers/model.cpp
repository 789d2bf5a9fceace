#include "layers/model.h"

#include <cassert>

#include "data/error.h"
#include "layers/blocks.h"
#include "layers/model_architecture.h"

namespace lockstep {

Graph build_model(const ModelOptions& options, Shape input, int classes) {
  if (classes < 2)
    throw ConfigError("classes = " + std::to_string(classes) +
                      ": a classifier needs at least 2; check the labels of the data set");
  const Architecture architecture = resolve_architecture(options, input);
  Graph graph(input);
  BlockBuilder build(graph, architecture);
  ValueId x = build.stem(graph.input());
  int index = 0;
  for (std::size_t g = 0; g < architecture.groups.size(); ++g) {
    const BlockGroup& group = architecture.groups[g];
    for (int b = 0; b < group.blocks; ++b) {
      const std::string name = "group" + std::to_string(g + 1) + ".block" + std::to_string(b);
      x = build.block(name, x, group, b == 0 ? group.stride : 1, index++);
    }
  }
  build.head(x, classes);
  return graph;
}

ValueId logits_of(const Graph& graph) {
  assert(!graph.ops().empty() && graph.ops().back().output == kNone);
  return graph.ops().back().inputs[0];
}

}  // namespace lockstep
