#include "layers/layout.h"

#include <algorithm>
#include <bit>

namespace lockstep {

namespace {

constexpr std::size_t kAlignFloats = 16;
constexpr std::int64_t kChunkBytes = 1 << 20;
constexpr int kMaxChunk = 1024;
constexpr std::size_t kUpdateBlock = 1 << 16;

bool reads_images(const Graph& graph, const Op& op) {
  return std::ranges::find(op.inputs, graph.input()) != op.inputs.end();
}

bool fits(const Graph& graph, const Op& op, int block) {
  std::vector<Shape> inputs;
  for (const ValueId v : op.inputs) inputs.push_back(graph.value(v).shape);
  const LayoutSite site{.block = block,
                        .src = inputs[0],
                        .dst = op.output == kNone ? Shape{1, 1, 1} : graph.value(op.output).shape,
                        .inputs = inputs,
                        .reads_images = op.inputs[0] == graph.input(),
                        .any_reads_images = reads_images(graph, op)};
  return std::visit([&](const auto& o) { return o.fits_blocks(site); }, op.attributes);
}

}  // namespace

int block_of(LayoutKind layout) {
  switch (layout) {
    case LayoutKind::kNhwc:
      return 0;
    case LayoutKind::kBlocked8:
      return 8;
    case LayoutKind::kBlocked16:
      return 16;
  }
  return 0;
}

LayoutKind choose_layout(const Graph& graph, int wanted_block) {
  if (wanted_block != 8 && wanted_block != 16) return LayoutKind::kNhwc;
  const bool all = std::all_of(graph.ops().begin(), graph.ops().end(),
                               [&](const Op& op) { return fits(graph, op, wanted_block); });
  if (!all) return LayoutKind::kNhwc;
  return wanted_block == 16 ? LayoutKind::kBlocked16 : LayoutKind::kBlocked8;
}

int value_block(const Graph& graph, ValueId value, LayoutKind layout) {
  if (value == graph.input() || graph.value(value).shape.pixels() == 1) return 0;
  return block_of(layout);
}

Storage value_storage(const Graph& graph, ValueId value, Storage activations) {
  for (;;) {
    const OpId producer = graph.value(value).producer;
    if (producer == kNone) return Storage::kF32;
    const Op& op = graph.op(producer);
    const Stored stored = op.traits().stored;
    if (stored == Stored::kAsConvolution) return activations;
    if (stored == Stored::kF32) return Storage::kF32;
    value = op.inputs[0];
  }
}

std::string bf16_obstacle(const Graph& graph) {
  for (const Op& op : graph.ops()) {
    StorageSite site{.bf16 = {},
                     .reads_images = op.inputs[0] == graph.input(),
                     .any_reads_images = reads_images(graph, op)};
    for (const ValueId v : op.inputs)
      site.bf16.push_back(value_storage(graph, v, Storage::kBf16) == Storage::kBf16);
    const std::string obstacle =
        std::visit([&](const auto& o) { return o.bf16_obstacle(site); }, op.attributes);
    if (!obstacle.empty()) return op.name + ": " + obstacle;
  }
  return "";
}

OwnedTensors tensors_of_ops(const Graph& graph, const std::vector<bool>& ops) {
  OwnedTensors owned{std::vector<bool>(graph.parameters().size(), false),
                     std::vector<bool>(graph.statistics().size(), false)};
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (!ops[i]) continue;
    const Op& op = graph.ops()[i];
    for (ParameterId p : op.parameters) owned.parameters[static_cast<std::size_t>(p)] = true;
    if (op.first_statistic == kNone) continue;
    for (int s : {op.first_statistic, op.first_statistic + 1})  // mean, var
      owned.statistics[static_cast<std::size_t>(s)] = true;
  }
  return owned;
}

std::vector<std::size_t> parameter_offsets(const Graph& graph, const OwnedTensors& owned) {
  std::vector<std::size_t> offsets{0};
  for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
    const bool mine = owned.parameter(static_cast<ParameterId>(p));
    const auto n = static_cast<std::size_t>(mine ? graph.parameters()[p].elements() : 0);
    offsets.push_back(offsets.back() + (n + kAlignFloats - 1) / kAlignFloats * kAlignFloats);
  }
  return offsets;
}

std::vector<std::size_t> statistic_offsets(const Graph& graph, const OwnedTensors& owned) {
  std::vector<std::size_t> offsets{0};
  for (std::size_t s = 0; s < graph.statistics().size(); ++s) {
    const bool mine = owned.statistic(static_cast<int>(s));
    const auto n = static_cast<std::size_t>(mine ? graph.statistics()[s].channels : 0);
    offsets.push_back(offsets.back() + (n + kAlignFloats - 1) / kAlignFloats * kAlignFloats);
  }
  return offsets;
}

std::vector<UpdateBlock> update_blocks(const Graph& graph, const OwnedTensors& owned) {
  std::vector<UpdateBlock> blocks;
  const auto offsets = parameter_offsets(graph, owned);
  int index = 0;
  for (std::size_t p = 0; p < graph.parameters().size(); ++p) {
    const Parameter& parameter = graph.parameters()[p];
    const auto total = static_cast<std::size_t>(parameter.elements());
    for (std::size_t at = 0; at < total; at += kUpdateBlock, ++index)
      if (owned.parameter(static_cast<ParameterId>(p)))
        blocks.push_back(
            {offsets[p] + at, std::min(kUpdateBlock, total - at), parameter.decay, index});
  }
  return blocks;
}

int chunk_images(const Graph& graph, const Op& op, bool weight_gradient, Storage activations) {
  std::int64_t bytes = 0;
  const auto add = [&](ValueId v) {
    const auto element = element_bytes(value_storage(graph, v, activations));
    bytes += static_cast<std::int64_t>(element) * graph.value(v).shape.elements();
  };
  for (ValueId v : op.inputs) add(v);
  if (op.output != kNone) add(op.output);
  bytes = std::max<std::int64_t>(bytes, 4);
  auto chunk = std::bit_floor(
      static_cast<std::uint64_t>(std::clamp<std::int64_t>(kChunkBytes / bytes, 1, kMaxChunk)));
  if (weight_gradient && !op.parameters.empty()) {
    // Adding a chunk's gradient to the lane's moves 12 bytes a weight: let the chunk move four
    // times that.
    const std::int64_t weights = graph.parameter(op.parameters[0]).elements();
    const std::int64_t wanted = std::clamp<std::int64_t>(48 * weights / bytes, 1, kMaxChunk);
    chunk = std::max(chunk, std::bit_ceil(static_cast<std::uint64_t>(wanted)));
  }
  return static_cast<int>(chunk);
}

}  // namespace lockstep
