#include "coordinator/plan/chain.h"

#include <algorithm>

#include "coordinator/plan/index.h"

namespace lockstep {

namespace {

/// "group1.block0.se.fc1" -> "group1.block0", "stem.conv" -> "stem", "fc" -> "".
std::string block_name(const std::string& op) {
  const std::size_t first = op.find('.');
  if (first == std::string::npos) return "";
  const std::size_t second = op.find('.', first + 1);
  return op.substr(0, second == std::string::npos ? first : second);
}

/// What the backward pass of a fused norm or of an op by itself reads.
std::vector<ValueId> backward_reads(const Graph& graph, const Fusion& fusion, OpId id) {
  const Op& op = graph.op(id);
  if (const int group = fusion.group_of[at(id)]; group != kNone) {
    const FusedNorm& fused = fusion.groups[at(group)];
    if (id != fused.last) return {};
    std::vector<ValueId> reads{graph.op(fused.norm).inputs[0]};
    if (fused.relu != kNone) reads.push_back(fused.output);
    return reads;
  }
  if (op.output == kNone || is_identity(op, true)) return {};
  const BackwardNeeds needs = backward_needs(graph, op);
  std::vector<ValueId> reads;
  if (needs.src) reads = op.inputs;
  if (needs.dst || needs.workspace_bytes) reads.push_back(op.output);
  return reads;
}

}  // namespace

bool is_identity(const Op& op, bool training) { return op.traits().draw->is_identity(training); }

Chain chain_of(const Graph& graph, const Fusion& fusion) {
  Chain chain;
  chain.read_backward.assign(graph.values().size(), false);
  chain.long_skip.assign(graph.values().size(), false);
  for (OpId id = 0; id < static_cast<OpId>(graph.ops().size()); ++id) {
    const Op& op = graph.op(id);
    const std::string name = block_name(op.name);
    if (chain.blocks.empty() || chain.blocks.back().name != name)
      chain.blocks.push_back({.name = name, .first = id});
    chain.blocks.back().last = id;
    chain.block_of.push_back(chain.size() - 1);
    for (ValueId v : backward_reads(graph, fusion, id)) {
      while (v != graph.input() && is_identity(graph.op(graph.value(v).producer), true))
        v = graph.op(graph.value(v).producer).inputs[0];
      chain.read_backward[at(v)] = true;
    }
  }
  for (OpId id = 0; id < static_cast<OpId>(graph.ops().size()); ++id) {
    const Op& op = graph.op(id);
    const int group = fusion.group_of[at(id)];
    if (op.output == kNone || (group != kNone && fusion.groups[at(group)].output != op.output))
      continue;
    const int block = chain.block_of[at(id)];
    chain.blocks[at(block)].made.push_back(op.output);
    int last = block;
    for (OpId consumer : graph.value(op.output).consumers)
      last = std::max(last, chain.block_of[at(consumer)]);
    if (last > block) chain.blocks[at(block)].outputs.push_back(op.output);
    chain.long_skip[at(op.output)] = last > block + 1;
  }
  return chain;
}

}  // namespace lockstep
