// A stage of a pipeline: all parts of all micro-batches, in the stage's order, and what goes between
// stages. The levels of a part lie above those of the part before, so that the scheduler keeps that
// order.
#include <algorithm>

#include "coordinator/plan/lower_passes.h"
#include "coordinator/plan/stage_messages.h"
#include "data/error.h"
#include "layers/loss.h"

namespace lockstep {

namespace {

/// A message of this stage, as it goes into the draft twice: when it starts and when it has arrived.
struct Transfer {
  StageMessage what;
  Message message;
  bool sent = false;  // else received
};

std::vector<Transfer> transfers_of_stage(Lowering& lowering) {
  std::vector<Transfer> transfers;
  const int stage = lowering.options.stage;
  for (StageMessage& m : stage_messages(lowering.graph, lowering.options.pipeline)) {
    if (m.from != stage && m.to != stage) continue;
    const bool sent = m.from == stage;
    const Message message{.name = describe(m, lowering.graph),
                          .peer = sent ? m.to : m.from,
                          .transfer = lowering.writer.draft().transfers++,
                          .tag = m.tag};
    transfers.push_back({std::move(m), message, sent});
  }
  return transfers;
}

/// Values inside a fused batch norm are not in memory: they cannot travel.
void check_cuts(const Lowering& lowering) {
  const Graph& graph = lowering.graph;
  for (const OpRange& chunk : lowering.options.pipeline.chunks)
    for (const FusedNorm& group : lowering.fusion.groups)
      if (group.norm <= chunk.last && group.last > chunk.last)
        throw ConfigError("a stage cannot end after " + graph.op(chunk.last).name + ": " +
                          graph.op(group.norm).name + " and " + graph.op(group.last).name +
                          " are one pass over memory; cut between blocks");
}

std::size_t image_labels_bytes(const Graph& graph) {
  return at(labels_of_image(graph)) * sizeof(std::int32_t);
}

BufferId received_buffer(DraftWriter& writer, const Graph& graph, const Transfer& transfer) {
  const StageMessage& m = transfer.what;
  switch (m.what) {
    case StageMessage::What::kValue:
      return writer.activation(transfer.message.name, m.value);
    case StageMessage::What::kGradient:
      return writer.activation_gradient(transfer.message.name, m.value);
    case StageMessage::What::kLabels:
      break;
  }
  return writer.image_buffer(transfer.message.name, BufferKind::kActivation,
                             image_labels_bytes(graph));
}

/// What the part `index` reads is on its way while the part before it runs.
void start_receives(Lowering& lowering, std::vector<Transfer>& transfers, int index) {
  DraftWriter& writer = lowering.writer;
  for (Transfer& t : transfers) {
    if (t.sent || t.what.received_before != index) continue;
    writer.set_micro_batch(t.what.micro_batch);
    t.message.buffer = received_buffer(writer, lowering.graph, t);
    t.message.kind = MessageKind::kStartReceive;
    writer.draft().buffer(t.message.buffer).travels = true;
    writer.draft().arrivals.push_back({t.message, writer.cursor().part_first - 1});
  }
}

/// What the part `index` reads, all of its micro-batch, has arrived after `level`.
void finish_receives(Lowering& lowering, std::vector<Transfer>& transfers, int index, int level) {
  for (Transfer& t : transfers) {
    if (t.sent || t.what.received_before != index) continue;
    t.message.kind = MessageKind::kFinishReceive;
    lowering.writer.draft().arrivals.push_back({t.message, level});
    lowering.writer.arrives_after(level, t.message.buffer);
    switch (t.what.what) {
      case StageMessage::What::kValue:
        lowering.value(t.what.value) = t.message.buffer;
        break;
      case StageMessage::What::kGradient:
        contribute(lowering, t.what.value, Contribution{t.message.buffer, t.what.reader});
        break;
      case StageMessage::What::kLabels:
        lowering.micro_batch().labels = t.message.buffer;
        break;
    }
  }
}

/// A send has arrived for certain, by what other stages do, when the part `index` begins: waiting
/// for it cannot make stages wait for each other.
void finish_sends(Lowering& lowering, std::vector<Transfer>& transfers, int index, int level) {
  for (Transfer& t : transfers) {
    if (!t.sent || t.what.arrived_before != index) continue;
    t.message.kind = MessageKind::kFinishSend;
    lowering.writer.draft().arrivals.push_back({t.message, level});
  }
}

BufferId sent_buffer(Lowering& lowering, const StageMessage& m) {
  if (m.what == StageMessage::What::kLabels)
    return lowering.writer.add_buffer({.name = "labels",
                                       .segment = Segment::kLabels,
                                       .image_bytes = image_labels_bytes(lowering.graph)});
  if (m.what == StageMessage::What::kValue) return lowering.value(m.value);
  const BufferId gradient = gradient_from(lowering, m.value, m.reader);
  if (gradient == kNone)
    throw InternalError("pipeline: nothing makes the " + describe(m, lowering.graph));
  return gradient;
}

/// What the part `index` made, as soon as its level has run.
void start_sends(Lowering& lowering, std::vector<Transfer>& transfers, int index) {
  DraftWriter& writer = lowering.writer;
  LevelCursor& cursor = writer.cursor();
  for (Transfer& t : transfers) {
    if (!t.sent || t.what.sent_in != index) continue;
    t.message.buffer = sent_buffer(lowering, t.what);
    t.message.kind = MessageKind::kStartSend;
    writer.draft().buffer(t.message.buffer).travels = true;
    const int level = std::max(cursor.part_first, writer.readable_level(t.message.buffer));
    writer.draft().sends.push_back({t.message, level});
    cursor.front = std::max(cursor.front, level);
  }
}

void lower_part(Lowering& lowering, const Part& part, std::vector<Transfer>& transfers, int index) {
  LevelCursor& cursor = lowering.writer.cursor();
  cursor.begin_part(index);
  lowering.cuts.packed_bytes = 0;
  finish_sends(lowering, transfers, index, cursor.part_first - 1);
  if (index == 0) start_receives(lowering, transfers, 0);
  start_receives(lowering, transfers, index + 1);
  lowering.enter(part);
  const OpRange& ops = lowering.options.pipeline.chunks[at(part.chunk)];
  const bool backward = part.kind == PartKind::kBackward || part.kind == PartKind::kBackwardData;
  // While the gradient may still be on its way.
  const std::size_t replayed = backward ? lower_first_replays(lowering, ops) : 0;
  finish_receives(lowering, transfers, index,
                  std::max(cursor.part_first - 1, replayed > 0 ? cursor.front : 0));
  if (part.kind == PartKind::kForward)
    lower_forward(lowering, ops);
  else if (part.kind == PartKind::kBackwardWeights)
    lower_deferred_weights(lowering);
  else
    lower_backward(lowering, ops, replayed);
  start_sends(lowering, transfers, index);
}

}  // namespace

OwnedTensors owned_tensors(const Graph& graph, const PlanOptions& options) {
  if (!options.staged()) return {};
  return tensors_of_ops(graph, ops_of_stage(graph, options.pipeline, options.stage));
}

void lower_stage(Lowering& lowering) {
  check_cuts(lowering);
  std::vector<Transfer> transfers = transfers_of_stage(lowering);
  add_loss_sums(lowering);
  const std::vector<Part>& order = lowering.options.pipeline.order[at(lowering.options.stage)];
  int index = 0;
  for (const Part& part : order) lower_part(lowering, part, transfers, index++);
  finish_sends(lowering, transfers, index, DraftMessage::kEnd);
}

}  // namespace lockstep
