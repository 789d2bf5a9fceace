#include "coordinator/plan/allocate.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace lockstep {

namespace {

constexpr std::size_t kAlign = 128;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

/// Something that needs `bytes` from `first` to `last` (inclusive).
struct Interval {
  BufferId buffer;
  int first, last;
  std::size_t bytes;
};

/// Greedy by size: large ones first, each at the lowest offset that is free over its whole interval.
/// Returns the total; offsets go to `place(buffer, offset)`.
template <class Place>
std::size_t pack(std::vector<Interval> intervals, Place place) {
  std::stable_sort(intervals.begin(), intervals.end(),
                   [](const Interval& a, const Interval& b) { return a.bytes > b.bytes; });
  struct Placed {
    int first, last;
    std::size_t begin, end;
  };
  std::vector<Placed> placed;  // sorted by begin
  std::size_t total = 0;
  for (const Interval& i : intervals) {
    std::size_t offset = 0;
    for (const Placed& p : placed) {
      if (p.last < i.first || i.last < p.first) continue;
      if (p.begin >= offset + aligned(i.bytes)) break;
      offset = std::max(offset, p.end);
    }
    const Placed mine{i.first, i.last, offset, offset + aligned(i.bytes)};
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), mine,
                         [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
        mine);
    place(i.buffer, offset);
    total = std::max(total, mine.end);
  }
  return total;
}

class Allocator {
 public:
  explicit Allocator(Schedule schedule)
      : plan_(std::move(schedule.plan)), section_(std::move(schedule.section_of_call)) {}

  Plan run() {
    find_lifetimes();
    find_transients();
    pack_lane_spaces();
    std::vector<Interval> intervals;
    for (BufferId id = 0; id < count(); ++id) {
      const Buffer& b = plan_.buffer(id);
      if (b.segment != Segment::kArena || b.parent != kNone || b.bytes == 0) continue;
      if (b.first_call < 0 && !b.pinned) continue;
      // Lanes drift apart between barriers, so a buffer occupies its whole barrier-free stretch.
      const int first = b.pinned ? 0 : section_begin(b.first_call);
      const int last = b.pinned ? last_position() : section_end(b.last_call);
      intervals.push_back({id, first, last, b.bytes});
    }
    plan_.arena_bytes = pack(std::move(intervals),
                             [&](BufferId id, std::size_t offset) { buffer(id).offset = offset; });
    for (BufferId id = 0; id < count(); ++id) {
      Buffer& b = buffer(id);
      if (b.parent != kNone) b.offset = plan_.buffer(b.parent).offset + b.parent_offset;
    }
    return std::move(plan_);
  }

 private:
  BufferId count() const { return static_cast<BufferId>(plan_.buffers.size()); }
  Buffer& buffer(BufferId id) { return plan_.buffers[static_cast<std::size_t>(id)]; }
  int last_position() const { return static_cast<int>(plan_.calls.size()) - 1; }
  int section_of(int call) const { return section_[static_cast<std::size_t>(call)]; }
  int section_begin(int call) const {
    return static_cast<int>(std::lower_bound(section_.begin(), section_.end(), section_of(call)) -
                            section_.begin());
  }
  int section_end(int call) const {
    return static_cast<int>(std::upper_bound(section_.begin(), section_.end(), section_of(call)) -
                            section_.begin()) -
           1;
  }

  void find_lifetimes() {
    auto use = [&](BufferId id, int position) {
      Buffer& b = buffer(id);
      if (b.first_call < 0 || position < b.first_call) b.first_call = position;
      b.last_call = std::max(b.last_call, position);
    };
    find_travels(use);
    for (int c = 0; c <= last_position(); ++c) {
      for (const Operand& o : plan_.calls[static_cast<std::size_t>(c)].operands) {
        use(o.buffer, c);
        const BufferId parent = plan_.buffer(o.buffer).parent;
        if (parent != kNone) use(parent, c);
      }
    }
  }

  /// What is sent lives until its send has ended, what is received from the start of its receive:
  /// messages stand between two calls, and between two stretches.
  template <class Use>
  void find_travels(Use use) {
    int next = 0;  // call
    for (const PlanItem& item : plan_.items) {
      if (const auto* phase = std::get_if<Phase>(&item.what)) {
        next = phase->calls.back() + 1;
        continue;
      }
      const auto& message = std::get<Message>(item.what);
      if (!is_transfer(message.kind)) continue;
      const bool from_here = message.kind == MessageKind::kStartReceive;
      use(message.buffer, from_here ? next : std::max(next - 1, 0));
    }
  }

  void find_transients() {
    std::vector<int> phase_of(plan_.calls.size(), kNone);
    std::vector<int> chunk_of;
    for (const PlanItem& item : plan_.items) {
      const auto* phase = std::get_if<Phase>(&item.what);
      if (!phase || phase->kind != PhaseKind::kLanes) continue;
      for (int c : phase->calls)
        phase_of[static_cast<std::size_t>(c)] = static_cast<int>(chunk_of.size());
      chunk_of.push_back(phase->chunk_images);
    }
    for (BufferId id = 0; id < count(); ++id) {
      Buffer& b = buffer(id);
      if (b.segment != Segment::kArena || b.image_bytes == 0 || b.first_call < 0 || b.pinned ||
          b.travels)
        continue;
      const int phase = phase_of[static_cast<std::size_t>(b.first_call)];
      if (phase == kNone || phase != phase_of[static_cast<std::size_t>(b.last_call)]) continue;
      if (!plan_.training && std::ranges::find(plan_.logits, id) != plan_.logits.end())
        continue;  // evaluation hands them out
      b.transient = true;
      const int chunk = std::min(chunk_of[static_cast<std::size_t>(phase)], lane_capacity());
      b.bytes = b.image_bytes * static_cast<std::size_t>(chunk);
    }
  }

  /// The largest lane holds this many images.
  int lane_capacity() const { return (plan_.max_images + plan_.lanes - 1) / plan_.lanes; }

  /// Transients of one section share a space per lane; the space becomes an arena buffer.
  void pack_lane_spaces() {
    std::map<int, std::vector<Interval>> by_section;
    for (BufferId id = 0; id < count(); ++id) {
      const Buffer& b = plan_.buffer(id);
      if (b.transient)
        by_section[section_of(b.first_call)].push_back({id, b.first_call, b.last_call, b.bytes});
    }
    for (auto& [section, intervals] : by_section) {
      const BufferId space = count();
      const int first = intervals.front().first, last = intervals.front().last;
      std::vector<BufferId> members;
      const std::size_t bytes = pack(intervals, [&](BufferId id, std::size_t offset) {
        buffer(id).parent = space;
        buffer(id).parent_offset = offset;
        members.push_back(id);
      });
      for (BufferId id : members) buffer(id).lane_bytes = bytes;
      plan_.buffers.push_back({.name = "lane_space" + std::to_string(section),
                               .kind = BufferKind::kActivationGradient,
                               .lane_bytes = bytes,
                               .bytes = bytes * static_cast<std::size_t>(plan_.lanes),
                               .first_call = first,
                               .last_call = last});
    }
  }

  Plan plan_;
  std::vector<int> section_;
};

}  // namespace

Plan allocate(Schedule schedule) { return Allocator(std::move(schedule)).run(); }

}  // namespace lockstep
