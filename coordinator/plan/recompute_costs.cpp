#include "coordinator/plan/recompute_costs.h"

#include <algorithm>
#include <set>

#include "coordinator/plan/index.h"
#include "layers/layout.h"

namespace lockstep {

namespace {

constexpr int kMostBlocks = 96;  // of the solver's chain: its time grows with the cube
constexpr int kOptions = 8;

/// What the call that makes a value reads.
std::vector<ValueId> inputs_of(const Graph& graph, const Fusion& fusion, ValueId value) {
  const OpId id = graph.value(value).producer;
  const int group = fusion.group_of[at(id)];
  if (group == kNone) return graph.op(id).inputs;
  const FusedNorm& fused = fusion.groups[at(group)];
  std::vector<ValueId> inputs = graph.op(fused.norm).inputs;
  if (fused.residual != kNone) inputs.push_back(fused.residual);
  return inputs;
}

}  // namespace

ReplaySeconds estimate_replays(const Graph& graph, const Fusion& fusion, int images,
                               const MachineModel& machine) {
  ReplaySeconds seconds(graph.values().size(), 0);
  for (const Op& op : graph.ops()) {
    if (op.output == kNone || is_identity(op, true)) continue;
    const int group = fusion.group_of[at(graph.value(op.output).producer)];
    const OpCost cost = op_cost(graph, op);
    double flops = cost.forward_flops, bytes = cost.forward_bytes;
    if (group != kNone) {  // one pass: its inputs are read, its output is written
      double elements = static_cast<double>(graph.value(op.output).shape.elements());
      bytes = sizeof(float) * elements *
              static_cast<double>(1 + inputs_of(graph, fusion, op.output).size());
      flops = 0;
    }
    seconds[at(op.output)] =
        images * (flops / machine.flops_per_second + bytes / machine.bytes_per_second);
  }
  return seconds;
}

RecomputeModel::RecomputeModel(const Graph& graph, const Fusion& fusion, Storage activations,
                               int images, ReplaySeconds seconds)
    : graph_(graph),
      fusion_(fusion),
      chain_(chain_of(graph, fusion)),
      activations_(activations),
      images_(images),
      seconds_(std::move(seconds)) {
  merge_ = (chain_.size() + kMostBlocks - 1) / kMostBlocks;
  find_items();
  choose_cuts();
  sum_up();
}

std::size_t RecomputeModel::bytes_of(ValueId value) const {
  const Op& op = graph_.op(graph_.value(value).producer);
  if (is_identity(op, true)) return 0;
  const std::size_t elements = static_cast<std::size_t>(graph_.value(value).shape.elements());
  return at(images_) * (elements * element_bytes(value_storage(graph_, value, activations_)) +
                        backward_needs(graph_, op).workspace_bytes);
}

/// Values that backward does not read are kept by nobody, so they are made again on the way.
double RecomputeModel::replay_cost(ValueId value) const {
  double seconds = seconds_[at(value)];
  for (ValueId input : inputs_of(graph_, fusion_, value)) {
    if (input == graph_.input() || chain_.read_backward[at(input)]) continue;
    const auto& outputs =
        chain_.blocks[at(chain_.block_of[at(graph_.value(input).producer)])].outputs;
    if (std::ranges::find(outputs, input) == outputs.end()) seconds += replay_cost(input);
  }
  return seconds;
}

void RecomputeModel::find_items() {
  for (const Chain::Block& block : chain_.blocks) {
    auto& items = items_.emplace_back();
    for (ValueId v : block.made) {
      const bool output = std::ranges::find(block.outputs, v) != block.outputs.end();
      if (output || chain_.read_backward[at(v)])
        items.push_back({v, bytes_of(v), replay_cost(v), output});
    }
  }
}

/// Cheap values first: each option forgets about an eighth more of all bytes than the one before.
void RecomputeModel::choose_cuts() {
  std::vector<std::pair<double, std::size_t>> ratios;  // seconds a byte, bytes
  std::size_t total = 0;
  for (const auto& items : items_)
    for (const Item& item : items) {
      if (item.bytes == 0 || chain_.long_skip[at(item.value)]) continue;
      ratios.emplace_back(item.seconds / static_cast<double>(item.bytes), item.bytes);
      total += item.bytes;
    }
  std::ranges::sort(ratios);
  cuts_ = {-1.0};
  std::size_t before = 0, next = 1;
  for (const auto& [ratio, bytes] : ratios) {
    before += bytes;
    if (before * kOptions < next * total) continue;
    if (ratio > cuts_.back()) cuts_.push_back(ratio);
    while (before * kOptions >= next * total) ++next;
  }
}

bool RecomputeModel::keeps(const Item& item, int option) const {
  return chain_.long_skip[at(item.value)] || option == 0 ||
         item.seconds > cuts_[at(option)] * static_cast<double>(item.bytes);
}

void RecomputeModel::sum_up() {
  for (int first = 0; first < chain_.size(); first += merge_) {
    const int last = std::min(first + merge_, chain_.size()) - 1;
    ChainCosts::Block sum;
    sum.options.resize(cuts_.size());
    for (int b = first; b <= last; ++b) {
      for (ValueId v : chain_.blocks[at(b)].made) sum.forward_seconds += seconds_[at(v)];
      for (const Item& item : items_[at(b)]) {
        const bool checkpoint = item.output && b == last;
        if (chain_.long_skip[at(item.value)]) continue;  // kept whatever is decided
        if (checkpoint) sum.output_bytes += item.bytes;
        for (int o = 0; o < static_cast<int>(cuts_.size()); ++o) {
          ChainCosts::Option& option = sum.options[at(o)];
          if (keeps(item, o))
            (checkpoint ? option.output_bytes : option.bytes) += item.bytes;
          else
            (checkpoint ? option.output_seconds : option.seconds) += item.seconds;
        }
      }
    }
    for (int o = 0; o < static_cast<int>(cuts_.size()); ++o)
      sum.options[at(o)].way_bytes = way_bytes(first, last, o);
    costs_.blocks.push_back(std::move(sum));
  }
}

/// Forgotten values that are made again with the outputs of block `last`: they stay until backward
/// has passed them.
std::size_t RecomputeModel::way_bytes(int first, int last, int option) const {
  std::vector<const Item*> item_of(graph_.values().size(), nullptr);
  for (int b = first; b <= last; ++b)
    for (const Item& item : items_[at(b)]) item_of[at(item.value)] = &item;
  std::vector<ValueId> open = chain_.blocks[at(last)].outputs;
  std::vector<bool> seen(graph_.values().size(), false);
  std::size_t bytes = 0;
  while (!open.empty()) {
    const ValueId value = open.back();
    open.pop_back();
    for (ValueId input : inputs_of(graph_, fusion_, value)) {
      if (input == graph_.input() || seen[at(input)]) continue;
      seen[at(input)] = true;
      const int block = chain_.block_of[at(graph_.value(input).producer)];
      const Item* item = item_of[at(input)];
      if (block < first || (item && keeps(*item, option))) continue;
      if (item) bytes += item->bytes;
      open.push_back(input);
    }
  }
  return bytes;
}

std::size_t RecomputeModel::tape_bytes() const {
  std::size_t bytes = 0;
  for (const ChainCosts::Block& block : costs_.blocks)
    bytes += block.output_bytes + block.options.front().bytes;
  return bytes;
}

/// Blocks first..last of the solver's chain under an option; not the last one's outputs.
std::vector<ValueId> RecomputeModel::kept_of(int first, int last, int option) const {
  std::vector<ValueId> kept;
  const int begin = first * merge_, end = std::min((last + 1) * merge_, chain_.size());
  for (int b = begin; b < end; ++b)
    for (const Item& item : items_[at(b)])
      if (keeps(item, option) && !(item.output && b == end - 1)) kept.push_back(item.value);
  return kept;
}

/// The way through the solver's decisions.
struct RecomputeModel::Walk {
  const RecomputeSolver& solver;
  Recomputation how;

  void keep(bool replaying, int first, int last, std::vector<ValueId> values) {
    if (!replaying) {
      for (ValueId v : values) how.keep[at(v)] = true;
    } else if (!values.empty()) {
      how.steps.push_back({RecomputeStep::Kind::kReplay, first, last, std::move(values)});
    }
  }
};

void RecomputeModel::walk(Walk& walk, int first, int last, int slots, bool replaying) const {
  if (first > last) return;
  const RecomputeSolver::Decision d = walk.solver.decision(first, last, slots);
  const int after = walk.solver.slots_after(first, last, slots, d);
  const auto last_block = [&](int block) {
    return std::min((block + 1) * merge_, chain_.size()) - 1;
  };
  const auto outputs = [&](int block) { return chain_.blocks[at(last_block(block))].outputs; };
  if (!d.segment) {
    walk.keep(replaying, first * merge_, last_block(d.end - 1), outputs(d.end - 1));
    this->walk(walk, d.end, last, after, replaying);
    this->walk(walk, first, d.end - 1, after, true);
    return;
  }
  std::vector<ValueId> kept = kept_of(first, d.end, d.option);
  if (d.end < last)
    for (ValueId v : outputs(d.end)) kept.push_back(v);
  walk.keep(replaying, first * merge_, last_block(d.end), std::move(kept));
  this->walk(walk, d.end + 1, last, after, replaying);
  walk.how.steps.push_back({RecomputeStep::Kind::kBackward, first * merge_, last_block(d.end), {}});
}

Recomputation RecomputeModel::recomputation(const RecomputeSolver& solver, int slots) const {
  Walk walk{solver, {}};
  walk.how.keep = chain_.long_skip;
  this->walk(walk, 0, static_cast<int>(costs_.blocks.size()) - 1, slots, false);
  return std::move(walk.how);
}

}  // namespace lockstep
