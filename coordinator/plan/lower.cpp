#include "coordinator/plan/lower.h"

#include <algorithm>

#include "coordinator/plan/lower_builder.h"
#include "layers/layout.h"

namespace lockstep {

LowerBuilder::LowerBuilder(const Graph& graph, const Fusion& fusion, const Backend& backend,
                           const PlanOptions& options)
    : graph_(graph),
      fusion_(fusion),
      backend_(backend),
      options_(options),
      owned_(owned_tensors(graph, options)),
      parameter_offsets_(parameter_offsets(graph, owned_)),
      statistic_offsets_(statistic_offsets(graph, owned_)) {
  draft_.parameter_level.assign(graph.parameters().size(), 0);
  add_micro_batches();
}

void LowerBuilder::add_micro_batches() {
  const std::size_t values = graph_.values().size(), ops = graph_.ops().size();
  micro_batches_.resize(static_cast<std::size_t>(options_.pipeline.micro_batches));
  for (MicroBatch& m : micro_batches_) {
    micro_batch_ = static_cast<int>(&m - micro_batches_.data());
    m.values.assign(values, kNone);
    m.contributions.resize(values);
    for (auto* table : {&m.affine, &m.workspace}) table->assign(ops, kNone);
    m.values[0] = add_buffer({.name = "pixels",
                              .segment = Segment::kPixels,
                              .image_bytes = value_bytes(graph_.input())});
  }
  micro_batch_ = 0;
  micro_ = micro_batches_.data();
}

std::size_t LowerBuilder::value_bytes(ValueId value) const {
  return static_cast<std::size_t>(graph_.value(value).shape.elements()) *
         element_bytes(value_storage(graph_, value, options_.activations));
}

BufferId LowerBuilder::add_buffer(Buffer buffer) {
  buffer.micro_batch = micro_batch_;
  draft_.buffers.push_back(std::move(buffer));
  available_.push_back(0);
  lane_made_.push_back(false);
  return static_cast<BufferId>(draft_.buffers.size()) - 1;
}

BufferId LowerBuilder::image_buffer(const std::string& name, BufferKind kind,
                                    std::size_t image_bytes) {
  return add_buffer({.name = name,
                     .kind = kind,
                     .image_bytes = image_bytes,
                     .bytes = image_bytes * static_cast<std::size_t>(options_.max_images)});
}

BufferId LowerBuilder::lane_buffer(const std::string& name, BufferKind kind, std::size_t bytes) {
  const std::size_t apart = (bytes + 127) / 128 * 128;  // lanes never share a cache line
  return add_buffer({.name = name,
                     .kind = kind,
                     .lane_bytes = apart,
                     .bytes = apart * static_cast<std::size_t>(options_.lanes)});
}

BufferId LowerBuilder::fixed_buffer(const std::string& name, BufferKind kind, std::size_t bytes) {
  return add_buffer({.name = name, .kind = kind, .bytes = bytes});
}

BufferId LowerBuilder::parameter(ParameterId id, Segment segment) {
  const Parameter& p = graph_.parameter(id);
  return add_buffer({.name = p.name,
                     .kind = BufferKind::kState,
                     .segment = segment,
                     .bytes = static_cast<std::size_t>(p.elements()) * sizeof(float),
                     .offset = parameter_offsets_[static_cast<std::size_t>(id)] * sizeof(float)});
}

BufferId LowerBuilder::running(const Op& op) {
  const auto first = static_cast<std::size_t>(op.first_statistic);
  return add_buffer(
      {.name = op.name + ".running",
       .kind = BufferKind::kState,
       .segment = Segment::kStatistics,
       .bytes = (statistic_offsets_[first + 2] - statistic_offsets_[first]) * sizeof(float),
       .offset = statistic_offsets_[first] * sizeof(float)});
}

/// This op's part of what level `level` reduces across ranks: 2C sums and the number of images.
BufferId LowerBuilder::level_sums(const Op& op, int level, const std::string& suffix) {
  const auto index = static_cast<std::size_t>(level);
  if (draft_.level_sums.size() <= index) draft_.level_sums.resize(index + 1, kNone);
  BufferId& whole = draft_.level_sums[index];
  if (whole == kNone)
    whole = fixed_buffer("sums.level" + std::to_string(level), BufferKind::kStatistics, 0);
  const int channels = graph_.value(op.inputs[0]).shape.channels;
  const std::size_t bytes = static_cast<std::size_t>(2 * channels + 1) * sizeof(double);
  const BufferId part = add_buffer({.name = op.name + suffix,
                                    .kind = BufferKind::kStatistics,
                                    .bytes = bytes,
                                    .parent = whole,
                                    .parent_offset = draft_.buffer(whole).bytes});
  draft_.buffer(whole).bytes += bytes;
  return part;
}

Call LowerBuilder::make_call(CallKind kind, OpId op, std::vector<Operand> operands) const {
  Call call{.kind = kind,
            .op = op,
            .operands = std::move(operands),
            .training = options_.training,
            .micro_batch = micro_batch_};
  if (op != kNone)
    call.chunk_images = chunk_images(graph_, graph_.op(op), kind == CallKind::kBackwardWeights,
                                     options_.activations);
  return call;
}

int LowerBuilder::add_call(Call call, Place place, std::vector<BufferId> reads,
                           const std::vector<BufferId>& writes, int earliest) {
  int level = std::max(
      earliest, place == Place::kLane ? std::max(replay_level_, least_level_) : part_level_ - 1);
  for (BufferId b : reads) {
    const auto i = static_cast<std::size_t>(b);
    // Calls at a boundary see what the boundary made before; lanes see it one level later.
    level =
        std::max(level, place == Place::kLane || lane_made_[i] ? available_[i] : available_[i] - 1);
  }
  for (BufferId b : writes) {
    const auto i = static_cast<std::size_t>(b);
    available_[i] = std::max(available_[i], place == Place::kLane ? level : level + 1);
    lane_made_[i] = place == Place::kLane;
  }
  call.replay = replay_level_ != kNone;
  if (place == Place::kLane) front_ = std::max(front_, level);
  draft_.calls.push_back({std::move(call), place, level, part_});
  return level;
}

Draft lower(const Graph& graph, const Fusion& fusion, const Backend& backend,
            const PlanOptions& options) {
  LowerBuilder builder(graph, fusion, backend, options);
  if (options.staged()) {
    builder.pipeline();
  } else {
    const OpId last = static_cast<OpId>(graph.ops().size()) - 1;
    builder.forward(0, last);
    if (options.training) builder.backward(0, last);
  }
  if (options.training) builder.update();
  return builder.take();
}

}  // namespace lockstep
