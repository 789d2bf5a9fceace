#include "coordinator/stages/list_schedule.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

#include "coordinator/plan/index.h"

namespace lockstep {

namespace {

/// One run of list scheduling.
class ListScheduler {
 public:
  ListScheduler(const Pipeline& pipeline, const PipelineTimes& times, const ListRule& rule)
      : pipeline_(pipeline),
        rule_(rule),
        clock_(pipeline, times),
        chunks_(at(pipeline.stages)),
        free_(at(pipeline.stages), 0.0),
        next_(pipeline.stage_of_chunk.size(), {0, 0, 0}) {
    for (std::size_t c = 0; c < pipeline.stage_of_chunk.size(); ++c)
      chunks_[at(pipeline.stage_of_chunk[c])].push_back(static_cast<int>(c));
  }

  Orders run() {
    order_.assign(at(pipeline_.stages), {});
    const std::size_t kinds = rule_.split ? 3 : 2;
    for (std::size_t left = kinds * next_.size() * at(pipeline_.micro_batches); left > 0; --left) {
      Choice first;
      for (int s = 0; s < pipeline_.stages; ++s) first = std::min(first, best(s));
      take(first);
    }
    return std::move(order_);
  }

 private:
  enum Column { kForwards, kBackwards, kWeights };

  /// The earliest first; of those a stage could begin at the same time, by rank.
  struct Choice {
    double begin = std::numeric_limits<double>::infinity();
    int stage = 0;
    std::tuple<int, int, int> rank;
    Part part;
    bool operator<(const Choice& other) const {
      return std::tie(begin, stage, rank) < std::tie(other.begin, other.stage, other.rank);
    }
  };

  Choice best(int stage) const {
    Choice choice;
    for (int c : chunks_[at(stage)])
      for (PartKind kind : {PartKind::kForward, back(), PartKind::kBackwardWeights})
        choice = std::min(choice, candidate(stage, c, kind));
    if (choice.part.kind == back() || rule_.patience == 0) return choice;
    for (int c : chunks_[at(stage)]) {
      const Choice backward = candidate(stage, c, back());
      if (backward.begin < choice.begin + rule_.patience * clock_.seconds(choice.part))
        return backward;
    }
    return choice;
  }

  Choice candidate(int stage, int chunk, PartKind kind) const {
    if (kind == PartKind::kBackwardWeights && !rule_.split) return {};
    const int m = next_[at(chunk)][column(kind)];
    if (m == pipeline_.micro_batches) return {};
    if (kind == PartKind::kForward && !has_room(stage, chunk)) return {};
    const Part part{kind, chunk, m};
    return {std::max(free_[at(stage)], clock_.ready(part)), stage, rank(part), part};
  }

  /// Only a stage's first chunk waits for room: its later chunks work on what is held already, and
  /// must, for it to be let go.
  bool has_room(int stage, int chunk) const {
    if (chunk != chunks_[at(stage)].front()) return true;
    const auto& next = next_[at(chunk)];
    return next[kForwards] - next[rule_.split ? kWeights : kBackwards] < rule_.room;
  }

  std::tuple<int, int, int> rank(const Part& part) const {
    const int group = part.micro_batch / rule_.group;
    if (part.kind == PartKind::kForward)
      return {rule_.forward_first ? -1 : 2, group, group_rank(part.chunk)};
    if (part.kind == PartKind::kBackwardWeights)
      return {rule_.weights_before_forward ? 1 : 3, part.micro_batch, -part.chunk};
    return {0, group, -part.chunk};
  }

  /// In groups of one, what is nearest to its backward; else chunk by chunk.
  int group_rank(int chunk) const { return rule_.group == 1 ? -chunk : chunk; }

  PartKind back() const { return rule_.split ? PartKind::kBackwardData : PartKind::kBackward; }
  static std::size_t column(PartKind kind) {
    if (kind == PartKind::kForward) return kForwards;
    return kind == PartKind::kBackwardWeights ? kWeights : kBackwards;
  }

  void take(const Choice& choice) {
    clock_.run(choice.part, choice.begin);
    free_[at(choice.stage)] = choice.begin + clock_.seconds(choice.part);
    order_[at(choice.stage)].push_back(choice.part);
    ++next_[at(choice.part.chunk)][column(choice.part.kind)];
  }

  const Pipeline& pipeline_;
  ListRule rule_;
  PartClock clock_;
  Orders order_;
  std::vector<std::vector<int>> chunks_;  // by stage, ascending
  std::vector<double> free_;              // by stage: when it has finished its last part
  std::vector<std::array<int, 3>> next_;  // by chunk and column: the next micro-batch
};

/// What a stage does when.
class Timetable {
 public:
  /// @return when it ends
  double place(const Part& part, double ready, double seconds) {
    double begin = ready;
    auto before = entries_.begin();
    for (; before != entries_.end() && begin + seconds > before->begin + kSlack; ++before)
      begin = std::max(begin, before->end);
    entries_.insert(before, {begin, begin + seconds, part});
    return begin + seconds;
  }

  std::vector<Part> parts() const {
    std::vector<Part> parts;
    for (const Entry& e : entries_) parts.push_back(e.part);
    return parts;
  }

 private:
  static constexpr double kSlack = 1e-12;
  struct Entry {
    double begin, end;
    Part part;
  };
  std::vector<Entry> entries_;  // by time
};

}  // namespace

Orders list_parts(const Pipeline& pipeline, const PipelineTimes& times, const ListRule& rule) {
  return ListScheduler(pipeline, times, rule).run();
}

Orders pack_parts(const Pipeline& pipeline, const PipelineTimes& times, int room) {
  const int chunks = static_cast<int>(pipeline.stage_of_chunk.size());
  PartClock clock(pipeline, times);
  std::vector<Timetable> tables(at(pipeline.stages));
  std::vector<double> done;  // by micro-batch
  for (int m = 0; m < pipeline.micro_batches; ++m) {
    const double free = m < room ? 0 : done[at(m - room)];
    double end = free;
    const auto place = [&](const Part& part) {
      const double seconds = clock.seconds(part);
      end = tables[at(pipeline.stage_of_chunk[at(part.chunk)])].place(
          part, std::max(free, clock.ready(part)), seconds);
      clock.run(part, end - seconds);
    };
    for (int c = 0; c < chunks; ++c) place({PartKind::kForward, c, m});
    for (int c = chunks; c-- > 0;) place({PartKind::kBackward, c, m});
    done.push_back(end);
  }
  Orders orders;
  for (const Timetable& table : tables) orders.push_back(table.parts());
  return orders;
}

}  // namespace lockstep
