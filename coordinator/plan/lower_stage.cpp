// A stage of a pipeline: all parts of all micro-batches, in the stage's order. The levels of a part
// lie above those of the part before, so that the scheduler keeps that order.
#include <algorithm>

#include "coordinator/plan/lower_builder.h"
#include "data/error.h"
#include "layers/loss.h"

namespace lockstep {

namespace {
std::size_t at(int id) { return static_cast<std::size_t>(id); }

/// Values inside a fused batch norm are not in memory: they cannot travel.
void check_cuts(const Graph& graph, const Fusion& fusion, const Pipeline& pipeline) {
  for (const OpRange& chunk : pipeline.chunks)
    for (const FusedNorm& group : fusion.groups)
      if (group.norm <= chunk.last && group.last > chunk.last)
        throw ConfigError("a stage cannot end after " + graph.op(chunk.last).name + ": " +
                          graph.op(group.norm).name + " and " + graph.op(group.last).name +
                          " are one pass over memory; cut between blocks");
}
}  // namespace

OwnedTensors owned_tensors(const Graph& graph, const PlanOptions& options) {
  if (!options.staged()) return {};
  return tensors_of_ops(graph, ops_of_stage(graph, options.pipeline, options.stage));
}

void LowerBuilder::pipeline() {
  check_cuts(graph_, fusion_, options_.pipeline);
  messages_ = stage_messages(graph_, options_.pipeline);
  transfers_.resize(messages_.size());
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const StageMessage& m = messages_[i];
    if (m.from != options_.stage && m.to != options_.stage) continue;
    transfers_[i] = {.name = describe(m, graph_),
                     .peer = m.from == options_.stage ? m.to : m.from,
                     .transfer = draft_.transfers++,
                     .tag = m.tag};
  }
  add_loss_sums();
  const int parts = static_cast<int>(options_.pipeline.order[at(options_.stage)].size());
  for (int i = 0; i < parts; ++i) part(i);
  finish_sends(parts);
}

void LowerBuilder::part(int index) {
  const Part& now = options_.pipeline.order[at(options_.stage)][at(index)];
  part_ = index;
  part_level_ = least_level_ = next_level_;
  packed_bytes_ = 0;
  finish_sends(index);
  if (index == 0) start_receives(0);
  start_receives(index + 1);
  const OpRange& ops = options_.pipeline.chunks[at(now.chunk)];
  const bool backwards = now.kind == PartKind::kBackward || now.kind == PartKind::kBackwardData;
  std::size_t replayed = 0;
  if (backwards) {  // while the gradient may still be on its way
    enter(now);
    replayed = replay_first(ops.first, ops.last);
  }
  finish_receives(index, std::max(part_level_ - 1, replayed > 0 ? front_ : 0));
  enter(now);
  if (now.kind == PartKind::kForward)
    forward(ops.first, ops.last);
  else if (now.kind == PartKind::kBackwardWeights)
    weights_of_part(chunk_);
  else
    backward(ops.first, ops.last, replayed);
  send(index);
  next_level_ = std::max(next_level_, front_ + 1);
}

/// Makes `now` what calls are added to.
void LowerBuilder::enter(const Part& now) {
  micro_batch_ = now.micro_batch;
  micro_ = &micro_batches_[at(micro_batch_)];
  chunk_ = now.chunk;
  defer_weights_ = now.kind == PartKind::kBackwardData;
}

/// What the part `index` reads is on its way while the part before it runs.
void LowerBuilder::start_receives(int index) {
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const StageMessage& m = messages_[i];
    if (m.to != options_.stage || m.received_before != index) continue;
    micro_batch_ = m.micro_batch;
    const bool labels = m.what == StageMessage::What::kLabels;
    const std::size_t bytes =
        labels ? at(labels_of_image(graph_)) * sizeof(std::int32_t) : value_bytes(m.value);
    Message& transfer = transfers_[i];
    transfer.buffer =
        image_buffer(transfer.name,
                     m.what == StageMessage::What::kGradient ? BufferKind::kActivationGradient
                                                             : BufferKind::kActivation,
                     bytes);
    draft_.buffer(transfer.buffer).travels = true;
    transfer.kind = MessageKind::kStartReceive;
    draft_.arrivals.push_back({transfer, part_level_ - 1});
  }
}

/// After `level` has run.
void LowerBuilder::finish_receives(int index, int level) {
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const StageMessage& m = messages_[i];
    if (m.to != options_.stage || m.received_before != index) continue;
    Message& transfer = transfers_[i];
    transfer.kind = MessageKind::kFinishReceive;
    draft_.arrivals.push_back({transfer, level});
    available_[at(transfer.buffer)] = level + 1;
    micro_ = &micro_batches_[at(m.micro_batch)];
    switch (m.what) {
      case StageMessage::What::kValue:
        micro_->values[at(m.value)] = transfer.buffer;
        break;
      case StageMessage::What::kGradient:
        contribute(m.value, transfer.buffer, m.reader);
        break;
      case StageMessage::What::kLabels:
        micro_->labels = transfer.buffer;
        break;
    }
  }
}

/// A send has arrived for certain, by what other stages do, when the part `index` begins: waiting
/// for it cannot make stages wait for each other.
void LowerBuilder::finish_sends(int index) {
  const auto parts = options_.pipeline.order[at(options_.stage)].size();
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const StageMessage& m = messages_[i];
    if (m.from != options_.stage || m.arrived_before != index) continue;
    transfers_[i].kind = MessageKind::kFinishSend;
    draft_.arrivals.push_back(
        {transfers_[i], at(index) < parts ? part_level_ - 1 : DraftMessage::kEnd});
  }
}

/// What the part `index` made, as soon as its level has run.
void LowerBuilder::send(int index) {
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const StageMessage& m = messages_[i];
    if (m.from != options_.stage || m.sent_in != index) continue;
    Message& transfer = transfers_[i];
    transfer.buffer = sent_buffer(m);
    transfer.kind = MessageKind::kStartSend;
    draft_.buffer(transfer.buffer).travels = true;
    const int level = std::max(part_level_, available_[at(transfer.buffer)]);
    draft_.sends.push_back({transfer, level});
    front_ = std::max(front_, level);
  }
}

BufferId LowerBuilder::sent_buffer(const StageMessage& m) {
  if (m.what == StageMessage::What::kLabels)
    return add_buffer({.name = "labels",
                       .segment = Segment::kLabels,
                       .image_bytes = at(labels_of_image(graph_)) * sizeof(std::int32_t)});
  if (m.what == StageMessage::What::kValue) return micro_->values[at(m.value)];
  std::vector<BufferId> parts;
  for (const Contribution& c : micro_->contributions[at(m.value)])
    if (c.chunk == m.reader) parts.push_back(c.gradient);
  if (parts.empty()) throw InternalError("pipeline: nothing makes the " + describe(m, graph_));
  return sum(std::move(parts), m.value, graph_.value(m.value).producer, 1).front();
}

void LowerBuilder::weights_of_part(int chunk) {
  for (const Deferred& d : micro_->deferred)
    if (d.chunk == chunk) backward_weights(d.op, d.diff_dst, d.src);
  std::erase_if(micro_->deferred, [&](const Deferred& d) { return d.chunk == chunk; });
}

}  // namespace lockstep
