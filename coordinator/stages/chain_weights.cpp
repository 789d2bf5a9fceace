#include "coordinator/stages/chain_weights.h"

#include <algorithm>

#include "coordinator/plan/index.h"
#include "layers/layout.h"

namespace lockstep {

namespace {

double value_bytes(const Graph& graph, ValueId value, Storage activations, int images) {
  return static_cast<double>(graph.value(value).shape.elements()) *
         static_cast<double>(element_bytes(value_storage(graph, value, activations))) * images;
}

/// Blocks that a fused batch norm spans stay in one piece.
std::vector<bool> joined_blocks(const Chain& chain, const Fusion& fusion) {
  std::vector<bool> joined(chain.blocks.size(), false);
  for (const FusedNorm& group : fusion.groups)
    for (int b = chain.block_of[at(group.norm)] + 1; b <= chain.block_of[at(group.last)]; ++b)
      joined[at(b)] = true;
  return joined;
}

std::vector<ChainWeights::Value> values_between(const Graph& graph, const Chain& chain,
                                                Storage activations, int images) {
  std::vector<ChainWeights::Value> values;
  for (ValueId v = 0; v < static_cast<ValueId>(graph.values().size()); ++v) {
    const OpId producer = graph.value(v).producer;
    ChainWeights::Value value{.made = producer == kNone ? 0 : chain.block_of[at(producer)],
                              .readers = {},
                              .bytes = value_bytes(graph, v, activations, images)};
    for (OpId consumer : graph.value(v).consumers)
      if (const int b = chain.block_of[at(consumer)]; b > value.made) value.readers.push_back(b);
    if (value.readers.empty()) continue;
    std::ranges::sort(value.readers);
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace

OpTimes estimate_op_times(const Graph& graph, int images, const MachineModel& machine) {
  OpTimes times;
  for (const Op& op : graph.ops()) {
    const OpCost cost = op_cost(graph, op);
    const auto seconds = [&](double flops, double bytes) {
      return images * (flops / machine.flops_per_second + bytes / machine.bytes_per_second);
    };
    const double backward = seconds(cost.backward_flops, cost.backward_bytes);
    // A weight gradient is as much work as the forward pass; the first op has no other.
    const bool weights = !op.parameters.empty() && cost.forward_flops > 0;
    const double share =
        weights ? std::min(1.0, cost.forward_flops / std::max(cost.backward_flops, 1.0)) : 0;
    times.push_back({.forward = seconds(cost.forward_flops, cost.forward_bytes),
                     .backward_data = (1 - share) * backward,
                     .backward_weights = share * backward});
  }
  return times;
}

ChainWeights chain_weights(const Graph& graph, const Fusion& fusion, Storage activations,
                           int images, const OpTimes& times, const OptimizerRule& optimizer) {
  const Chain chain = chain_of(graph, fusion);
  ChainWeights weights{.joined = joined_blocks(chain, fusion),
                       .values = values_between(graph, chain, activations, images)};
  for (const Chain::Block& block : chain.blocks) {
    weights.names.push_back(block.name.empty() ? graph.op(block.first).name : block.name);
    PartTimes& sum = weights.times.emplace_back(0, 0, 0);
    double& state = weights.state_bytes.emplace_back(0);
    double& kept = weights.kept_bytes.emplace_back(0);
    for (OpId id = block.first; id <= block.last; ++id) {
      const Op& op = graph.op(id);
      sum += times[at(id)];
      for (ParameterId p : op.parameters)
        state += static_cast<double>(optimizer.copies() * sizeof(float)) *
                 static_cast<double>(graph.parameter(p).elements());
      if (op.output != kNone)
        kept += images * static_cast<double>(backward_needs(graph, op).workspace_bytes);
    }
    for (ValueId v : block.made)
      if (chain.read_backward[at(v)]) kept += value_bytes(graph, v, activations, images);
  }
  return weights;
}

}  // namespace lockstep
