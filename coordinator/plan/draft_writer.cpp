#include "coordinator/plan/draft_writer.h"

#include <utility>

#include "coordinator/plan/index.h"
#include "layers/layout.h"

namespace lockstep {

NewCall& NewCall::read(Role role, BufferId buffer) {
  if (buffer == kNone) return *this;
  call.operands.push_back({role, buffer});
  reads.push_back(buffer);
  return *this;
}

NewCall& NewCall::write(Role role, BufferId buffer) {
  if (buffer == kNone) return *this;
  call.operands.push_back({role, buffer});
  writes.push_back(buffer);
  return *this;
}

DraftWriter::DraftWriter(const Graph& graph, const PlanOptions& options)
    : graph_(graph), options_(options) {
  const OwnedTensors owned = owned_tensors(graph, options);
  parameter_offsets_ = parameter_offsets(graph, owned);
  statistic_offsets_ = statistic_offsets(graph, owned);
  draft_.parameter_level.assign(graph.parameters().size(), 0);
}

std::size_t DraftWriter::value_bytes(ValueId value) const {
  return static_cast<std::size_t>(graph_.value(value).shape.elements()) *
         element_bytes(value_storage(graph_, value, options_.activations));
}

BufferId DraftWriter::add_buffer(Buffer buffer) {
  buffer.micro_batch = micro_batch_;
  draft_.buffers.push_back(std::move(buffer));
  written_.emplace_back();
  return static_cast<BufferId>(draft_.buffers.size()) - 1;
}

BufferId DraftWriter::image_buffer(const std::string& name, BufferKind kind,
                                   std::size_t image_bytes) {
  return add_buffer({.name = name,
                     .kind = kind,
                     .image_bytes = image_bytes,
                     .bytes = image_bytes * at(options_.max_images)});
}

BufferId DraftWriter::activation(const std::string& name, ValueId value) {
  return image_buffer(name, BufferKind::kActivation, value_bytes(value));
}

BufferId DraftWriter::activation_gradient(const std::string& name, ValueId value) {
  return image_buffer(name, BufferKind::kActivationGradient, value_bytes(value));
}

BufferId DraftWriter::lane_buffer(const std::string& name, BufferKind kind, std::size_t bytes) {
  const std::size_t apart = (bytes + 127) / 128 * 128;  // lanes never share a cache line
  return add_buffer(
      {.name = name, .kind = kind, .lane_bytes = apart, .bytes = apart * at(options_.lanes)});
}

BufferId DraftWriter::fixed_buffer(const std::string& name, BufferKind kind, std::size_t bytes) {
  return add_buffer({.name = name, .kind = kind, .bytes = bytes});
}

BufferId DraftWriter::parameter(ParameterId id, Segment segment) {
  const Parameter& p = graph_.parameter(id);
  return add_buffer({.name = p.name,
                     .kind = BufferKind::kState,
                     .segment = segment,
                     .bytes = static_cast<std::size_t>(p.elements()) * sizeof(float),
                     .offset = parameter_offsets_[at(id)] * sizeof(float)});
}

BufferId DraftWriter::running(const Op& op) {
  const std::size_t first = at(op.first_statistic);
  return add_buffer(
      {.name = op.name + ".running",
       .kind = BufferKind::kState,
       .segment = Segment::kStatistics,
       .bytes = (statistic_offsets_[first + 2] - statistic_offsets_[first]) * sizeof(float),
       .offset = statistic_offsets_[first] * sizeof(float)});
}

BufferId DraftWriter::all_parameters(const std::string& name, Segment segment, std::size_t copies) {
  return add_buffer({.name = name,
                     .kind = BufferKind::kState,
                     .segment = segment,
                     .bytes = copies * parameter_offsets_.back() * sizeof(float)});
}

BufferId DraftWriter::level_sums(const Op& op, int level, const std::string& suffix) {
  if (draft_.level_sums.size() <= at(level)) draft_.level_sums.resize(at(level) + 1, kNone);
  BufferId& whole = draft_.level_sums[at(level)];
  if (whole == kNone)
    whole = fixed_buffer("sums.level" + std::to_string(level), BufferKind::kStatistics, 0);
  const int channels = graph_.value(op.inputs[0]).shape.channels;
  const std::size_t bytes = at(2 * channels + 1) * sizeof(double);
  const BufferId part = add_buffer({.name = op.name + suffix,
                                    .kind = BufferKind::kStatistics,
                                    .bytes = bytes,
                                    .parent = whole,
                                    .parent_offset = draft_.buffer(whole).bytes});
  draft_.buffer(whole).bytes += bytes;
  return part;
}

NewCall DraftWriter::call(CallKind kind, OpId op) const {
  return {.call = {.kind = kind,
                   .op = op,
                   .training = options_.training,
                   .micro_batch = micro_batch_,
                   .chunk_images =
                       chunk_images(graph_, graph_.op(op), kind == CallKind::kBackwardWeights,
                                    options_.activations)}};
}

int DraftWriter::add(NewCall added, Place place, int earliest) {
  const bool by_lanes = place == Place::kLane;
  int level = std::max(earliest, cursor_.earliest(place));
  for (BufferId b : added.reads) {
    const Written& w = written_[at(b)];
    // Calls at a boundary see what the boundary made before; lanes see it one level later.
    level = std::max(level, by_lanes || w.by_lanes ? w.level : w.level - 1);
  }
  for (BufferId b : added.writes) {
    Written& w = written_[at(b)];
    w = {.level = std::max(w.level, by_lanes ? level : level + 1), .by_lanes = by_lanes};
  }
  added.call.replay = cursor_.replay != kNone;
  if (by_lanes) cursor_.front = std::max(cursor_.front, level);
  draft_.calls.push_back({std::move(added.call), place, level, cursor_.part});
  return level;
}

void DraftWriter::add_to_tail(NewCall added) {
  draft_.calls.push_back({std::move(added.call), Place::kTail});
}

int DraftWriter::readable_level(BufferId buffer) const { return written_[at(buffer)].level; }

int DraftWriter::lane_level(std::span<const BufferId> reads) const {
  int level = cursor_.earliest(Place::kLane);
  for (BufferId b : reads) level = std::max(level, readable_level(b));
  return level;
}

void DraftWriter::arrives_after(int level, BufferId buffer) {
  written_[at(buffer)].level = level + 1;
}

}  // namespace lockstep
