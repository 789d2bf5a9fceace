#include "layers/evaluation_text.h"

#include <numeric>
#include <variant>
#include <vector>

namespace lockstep {

namespace {

/// Ops that only training knows.
bool passes_on(const Op& op) {
  const Draw draw = op.traits().draw;
  return draw.of != Draw::Of::kNothing && !draw.in_evaluation();
}

std::string text_of(const Op& op) {
  return std::visit([](const auto& o) { return o.evaluation_text(); }, op.attributes);
}

}  // namespace

std::string evaluation_text(const Graph& graph) {
  // of each value: itself, or what it is in evaluation
  std::vector<ValueId> source(graph.values().size());
  std::iota(source.begin(), source.end(), 0);
  std::string text;
  for (const Op& op : graph.ops()) {
    if (passes_on(op)) {
      source[static_cast<std::size_t>(op.output)] =
          source[static_cast<std::size_t>(op.inputs.front())];
      continue;
    }
    text += op.name + " " + kind_name(op.attributes) + text_of(op) + " of";
    for (const ValueId input : op.inputs) {
      const ValueId from = source[static_cast<std::size_t>(input)];
      const OpId producer = graph.value(from).producer;
      text += " " + (producer == kNone ? std::string("input") : graph.op(producer).name);
    }
    text += "\n";
  }
  return text;
}

}  // namespace lockstep
