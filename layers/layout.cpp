#include "layers/layout.h"

#include <algorithm>
#include <bit>

namespace lockstep {

namespace {

constexpr std::size_t kAlignFloats = 16;
constexpr std::int64_t kChunkBytes = 1 << 20;
constexpr int kMaxChunk = 1024;
constexpr std::size_t kUpdateBlock = 1 << 16;

bool fits(const Graph& graph, const Op& op, int block) {
  auto whole = [&](int channels) { return channels % block == 0; };
  if (const auto* conv = std::get_if<Conv2d>(&op.attributes)) {
    if (!whole(conv->out_channels / conv->groups)) return false;
    // The first convolution reads planar images; oneDNN has kernels for few channels only.
    const int channels = graph.value(op.inputs[0]).shape.channels;
    if (op.inputs[0] == graph.input()) return block == 16 ? channels <= 3 : channels == 3;
    return whole(graph.value(op.inputs[0]).shape.channels / conv->groups);
  }
  // Classes are seldom as many as a block, and the loss reads a pixel's logits together.
  if (std::holds_alternative<PixelCrossEntropy>(op.attributes)) return false;
  // These want a pixel's channels side by side.
  if (std::holds_alternative<LayerNorm>(op.attributes) ||
      std::holds_alternative<PositionEmbedding>(op.attributes) ||
      std::holds_alternative<Attention>(op.attributes))
    return false;
  if (std::holds_alternative<Concat>(op.attributes) ||
      std::holds_alternative<ConvTranspose2d>(op.attributes) ||
      std::holds_alternative<ChannelPad>(op.attributes)) {
    return std::all_of(op.inputs.begin(), op.inputs.end(),
                       [&](ValueId v) { return whole(graph.value(v).shape.channels); }) &&
           whole(graph.value(op.output).shape.channels);
  }
  // Anything else keeps its input's channels; only a convolution may read the input images.
  return std::none_of(op.inputs.begin(), op.inputs.end(),
                      [&](ValueId v) { return v == graph.input(); });
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
    if (std::holds_alternative<Conv2d>(op.attributes)) return activations;
    if (std::holds_alternative<Linear>(op.attributes) ||
        std::holds_alternative<Flatten>(op.attributes) ||
        std::holds_alternative<GlobalAveragePool>(op.attributes))
      return Storage::kF32;
    value = op.inputs[0];
  }
}

std::string bf16_obstacle(const Graph& graph) {
  const auto is_bf16 = [&](ValueId v) {
    return value_storage(graph, v, Storage::kBf16) == Storage::kBf16;
  };
  for (const Op& op : graph.ops()) {
    if (std::holds_alternative<ConvTranspose2d>(op.attributes))
      return op.name + ": transposed convolutions are computed in f32 only";
    if (std::holds_alternative<PixelCrossEntropy>(op.attributes))
      return op.name + ": a loss of pixels reads logits in f32 only";
    if (std::holds_alternative<Conv2d>(op.attributes)) {
      if (op.inputs[0] == graph.input() || is_bf16(op.inputs[0])) continue;
      return op.name + ": a convolution reads what a global average or a linear layer made";
    }
    if (std::find(op.inputs.begin(), op.inputs.end(), graph.input()) != op.inputs.end())
      return op.name + ": only convolutions may read the input images";
    if (std::holds_alternative<Linear>(op.attributes)) {
      if (is_bf16(op.inputs[0])) return op.name + ": a linear layer must follow a global average";
    } else if (std::holds_alternative<ChannelScale>(op.attributes)) {
      if (!is_bf16(op.inputs[0]) || is_bf16(op.inputs[1]))
        return op.name + ": its gate must follow a global average, and its input must not";
    } else if (std::any_of(op.inputs.begin(), op.inputs.end(),
                           [&](ValueId v) { return is_bf16(v) != is_bf16(op.inputs[0]); })) {
      return op.name + ": its inputs lie on both sides of a global average";
    }
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
