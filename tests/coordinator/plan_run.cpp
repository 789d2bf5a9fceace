#include "tests/coordinator/plan_run.h"

#include <algorithm>

#include "layers/backend.h"

namespace lockstep {

namespace {

constexpr std::int16_t kNobody = -1, kSeveral = -2;

bool writes(CallKind kind, Role role) {
  switch (role) {
    case Role::kDst:
      return kind == CallKind::kForward;
    case Role::kDiffSrc:
    case Role::kDiffSrc2:
    case Role::kDiffSrc3:
      return true;
    case Role::kMasked:
      return kind == CallKind::kBackwardSums;
    case Role::kWorkspace:
      return kind == CallKind::kForward;
    case Role::kPacked:
      return kind == CallKind::kPackWeights || kind == CallKind::kPackWeightsBackward;
    case Role::kLaneGradient:
    case Role::kLaneBiasGradient:
      return kind != CallKind::kFoldGradient;
    case Role::kLaneSums:
      return kind == CallKind::kStatistics || kind == CallKind::kBackwardSums ||
             kind == CallKind::kForward || kind == CallKind::kGradientNorm;
    case Role::kSums:
      return kind == CallKind::kCombineStatistics || kind == CallKind::kCombineBackward ||
             kind == CallKind::kCombineLoss || kind == CallKind::kFinishGradientNorm;
    case Role::kAffine:
      return kind == CallKind::kFinishStatistics || kind == CallKind::kRunningStatistics;
    case Role::kCoefficients:
      return kind == CallKind::kFinishBackward;
    default:
      return false;
  }
}

}  // namespace

PlanRun::PlanRun(const Plan& plan)
    : plan_(plan),
      content_(plan.arena_bytes, kNone),
      writer_(plan.arena_bytes, kNobody),
      reader_(plan.arena_bytes, kNobody) {}

void PlanRun::micro_batch(int images) {
  images_ = images;
  enum class Last { kMet, kLanes, kLeader } last = Last::kMet;
  auto meet = [&] {
    if (last != Last::kMet) barrier();
    last = Last::kMet;
  };
  for (const PlanItem& item : plan_.items) {
    const auto* phase = std::get_if<Phase>(&item.what);
    if (phase && phase->kind == PhaseKind::kLanes) {
      if (last == Last::kLeader) meet();
      run_lanes(*phase);
      last = Last::kLanes;
    } else if (phase && phase->kind == PhaseKind::kTeam) {
      meet();
      for (std::size_t c = 0; c < phase->calls.size(); ++c)  // any thread may run any of them
        run_call(phase->calls[c], static_cast<int>(c), false);
      barrier();
    } else {
      if (last == Last::kLanes) meet();
      if (phase)
        for (int c : phase->calls) run_call(c, 0, false);
      else
        send(std::get<Message>(item.what));
      last = Last::kLeader;
    }
  }
  barrier();
}

void PlanRun::run_lanes(const Phase& phase) {
  for (lane_ = 0; lane_ < plan_.lanes; ++lane_) {
    const auto [begin, end] = lane_images(images_, plan_.lanes, lane_);
    for (chunk_begin_ = begin; chunk_begin_ < end; chunk_begin_ += phase.chunk_images) {
      chunk_end_ = std::min(chunk_begin_ + phase.chunk_images, end);
      for (int c : phase.calls) run_call(c, lane_, true);
    }
  }
}

/// What is written is written after all is read.
void PlanRun::run_call(int index, int thread, bool chunk_only) {
  const Call& call = plan_.calls[static_cast<std::size_t>(index)];
  const std::string who =
      "call " + std::to_string(index) + " of kind " + std::to_string(static_cast<int>(call.kind));
  for (const bool writing : {false, true}) {
    for (const Operand& o : call.operands) {
      if (plan_.buffer(o.buffer).segment != Segment::kArena) continue;
      if (writes(call.kind, o.role) != writing) continue;
      for (const Bytes& bytes : bytes_of(o.buffer, chunk_only))
        writing ? write(who, o.buffer, thread, bytes) : read(who, o.buffer, thread, bytes);
    }
  }
}

/// The parts of what is reduced must all be there.
void PlanRun::send(const Message& message) {
  if (is_transfer(message.kind)) return transfer(message);
  if (message.kind == MessageKind::kBroadcastSums)
    write("message " + message.name, message.buffer, 0, bytes_of(message.buffer, false).front());
  if (message.kind != MessageKind::kAllReduceSums) return;
  const Buffer& b = plan_.buffer(message.buffer);
  for (std::size_t i = b.offset; i < b.offset + b.bytes; ++i) {
    const BufferId there = i < content_.size() ? content_[i] : kNone;
    const bool own =
        there == message.buffer || (there != kNone && plan_.buffer(there).parent == message.buffer);
    if (!own) faults_.insert("message " + message.name + " sends what is not its own");
  }
}

/// What is sent must be there until it has gone; what is received may come at any time in between.
void PlanRun::transfer(const Message& message) {
  if (plan_.buffer(message.buffer).segment != Segment::kArena) return;
  for (const Bytes& bytes : bytes_of(message.buffer, false)) {
    if (message.kind != MessageKind::kStartReceive)
      read("message " + message.name, message.buffer, 0, bytes);
    if (message.kind == MessageKind::kStartReceive || message.kind == MessageKind::kFinishReceive)
      write("message " + message.name, message.buffer, 0, bytes);
  }
}

std::vector<PlanRun::Bytes> PlanRun::bytes_of(BufferId id, bool chunk_only) const {
  const Buffer& b = plan_.buffer(id);
  auto at = [&](int lane, int first, int images) {
    const std::size_t begin = b.offset + static_cast<std::size_t>(lane) * b.lane_bytes +
                              static_cast<std::size_t>(first) * b.image_bytes;
    return Bytes{begin, begin + static_cast<std::size_t>(images) * b.image_bytes};
  };
  if (b.image_bytes > 0) {
    if (!chunk_only) return {at(0, 0, images_)};
    return {at(lane_, b.transient ? 0 : chunk_begin_, chunk_end_ - chunk_begin_)};
  }
  if (b.lane_bytes == 0) return {{b.offset, b.offset + b.bytes}};
  std::vector<Bytes> all;
  for (int l = 0; l < plan_.lanes; ++l) {
    const auto [begin, end] = lane_images(images_, plan_.lanes, l);
    if (begin == end || (chunk_only && l != lane_)) continue;
    const std::size_t own = b.offset + static_cast<std::size_t>(l) * b.lane_bytes;
    all.push_back({own, own + b.lane_bytes});
  }
  return all;
}

bool PlanRun::outside(const std::string& who, const Bytes& bytes) {
  if (bytes.end <= plan_.arena_bytes) return false;
  faults_.insert(who + " reaches beyond the arena");
  return true;
}

void PlanRun::read(const std::string& who, BufferId id, int thread, const Bytes& bytes) {
  if (outside(who, bytes)) return;
  const auto me = static_cast<std::int16_t>(thread);
  for (std::size_t i = bytes.begin; i < bytes.end; ++i) {
    if (content_[i] != id) faults_.insert(who + " finds " + plan_.buffer(id).name + " overwritten");
    if (writer_[i] != kNobody && writer_[i] != me)
      faults_.insert(who + " reads " + plan_.buffer(id).name + " while another thread writes");
    reader_[i] = reader_[i] == kNobody || reader_[i] == me ? me : kSeveral;
  }
}

void PlanRun::write(const std::string& who, BufferId id, int thread, const Bytes& bytes) {
  if (outside(who, bytes)) return;
  const auto me = static_cast<std::int16_t>(thread);
  for (std::size_t i = bytes.begin; i < bytes.end; ++i) {
    const bool alone =
        (writer_[i] == kNobody || writer_[i] == me) && (reader_[i] == kNobody || reader_[i] == me);
    if (!alone) faults_.insert(who + " writes " + plan_.buffer(id).name + " under another thread");
    content_[i] = id;
    writer_[i] = me;
  }
}

void PlanRun::barrier() {
  std::ranges::fill(writer_, kNobody);
  std::ranges::fill(reader_, kNobody);
}

bool PlanRun::holds(BufferId id) const {
  const auto all = bytes_of(id, false);
  return std::ranges::all_of(all, [&](const Bytes& bytes) {
    return std::all_of(content_.begin() + static_cast<std::ptrdiff_t>(bytes.begin),
                       content_.begin() + static_cast<std::ptrdiff_t>(bytes.end),
                       [&](BufferId there) { return there == id; });
  });
}

}  // namespace lockstep
