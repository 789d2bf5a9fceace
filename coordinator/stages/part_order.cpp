#include "coordinator/stages/part_order.h"

#include <algorithm>
#include <limits>

#include "coordinator/plan/index.h"
#include "coordinator/stages/list_schedule.h"

namespace lockstep {

namespace {

/// Stage s = chunk s: all forwards, then all backwards.
Orders gpipe(int stages, int micro_batches) {
  Orders order(at(stages));
  for (PartKind kind : {PartKind::kForward, PartKind::kBackward})
    for (int s = 0; s < stages; ++s)
      for (int m = 0; m < micro_batches; ++m) order[at(s)].push_back({kind, s, m});
  return order;
}

/// Stage s begins with as many forwards as there are stages behind it; then forward and backward in
/// turn; then the backwards that are left.
Orders one_forward_one_backward(int stages, int micro_batches) {
  Orders order(at(stages));
  for (int s = 0; s < stages; ++s) {
    const int ahead = std::min(micro_batches, stages - 1 - s);
    auto& parts = order[at(s)];
    for (int m = 0; m < ahead; ++m) parts.push_back({PartKind::kForward, s, m});
    for (int m = 0; m < micro_batches; ++m) {
      if (m + ahead < micro_batches) parts.push_back({PartKind::kForward, s, m + ahead});
      parts.push_back({PartKind::kBackward, s, m});
    }
  }
  return order;
}

/// V chunks a stage, micro-batches in groups of S: each group passes through a stage's chunks in
/// turn. Stage s begins with 2(S-s-1) + (V-1)S forwards (arXiv:2104.04473, 2.2). M must be a
/// multiple of S.
Orders interleaved(int stages, int chunks_per_stage, int micro_batches) {
  Orders order(at(stages));
  const int per_stage = micro_batches * chunks_per_stage, turn = stages * chunks_per_stage;
  for (int s = 0; s < stages; ++s) {
    const auto part = [&](PartKind kind, int i) {
      const int v = i % turn / stages;
      const int mine = kind == PartKind::kForward ? v : chunks_per_stage - 1 - v;
      return Part{kind, mine * stages + s, i / turn * stages + i % stages};
    };
    const int ahead = std::min(per_stage, 2 * (stages - 1 - s) + (chunks_per_stage - 1) * stages);
    auto& parts = order[at(s)];
    for (int i = 0; i < ahead; ++i) parts.push_back(part(PartKind::kForward, i));
    for (int i = 0; i < per_stage; ++i) {
      if (i + ahead < per_stage) parts.push_back(part(PartKind::kForward, i + ahead));
      parts.push_back(part(PartKind::kBackward, i));
    }
  }
  return order;
}

/// 1f1b with the weight gradients of stage s deferred by s micro-batches, so that every stage holds
/// S (arXiv:2401.10241, ZB-H1).
Orders zero_bubble(int stages, int micro_batches) {
  Orders order(at(stages));
  for (int s = 0; s < stages; ++s) {
    const int ahead = std::min(micro_batches, stages - s);
    auto& parts = order[at(s)];
    for (int m = 0; m < ahead; ++m) parts.push_back({PartKind::kForward, s, m});
    for (int m = 0; m < micro_batches; ++m) {
      parts.push_back({PartKind::kBackwardData, s, m});
      if (m >= s) parts.push_back({PartKind::kBackwardWeights, s, m - s});
      if (m + ahead < micro_batches) parts.push_back({PartKind::kForward, s, m + ahead});
    }
    for (int m = std::max(0, micro_batches - s); m < micro_batches; ++m)
      parts.push_back({PartKind::kBackwardWeights, s, m});
  }
  return order;
}

/// Chunks' micro-batches that a stage may hold at a time.
int most_held(const PipelineSchedule& schedule, int stages, int micro_batches) {
  const int per_stage = schedule.chunks(1);
  if (schedule.kind == ScheduleKind::kGpipe) return per_stage * micro_batches;
  return per_stage * stages + (per_stage > 1 ? stages - 1 : 0);
}

/// Of the orders that hold no more than they may, the one with the shortest step; of equal ones the
/// first.
class Shortest {
 public:
  Shortest(const PipelineTimes& times, int most, Pipeline& pipeline)
      : times_(times), most_(most), pipeline_(pipeline) {}

  void offer(Orders order) {
    pipeline_.order = std::move(order);
    if (std::ranges::max(most_held(pipeline_)) > most_) return;
    const double seconds = forecast(pipeline_, times_).seconds;
    if (seconds >= least_ * (1 - 1e-9)) return;
    least_ = seconds;
    best_ = pipeline_.order;
  }
  void take() { pipeline_.order = std::move(best_); }

 private:
  const PipelineTimes& times_;
  int most_;
  Pipeline& pipeline_;
  Orders best_;
  double least_ = std::numeric_limits<double>::infinity();
};

/// Tries every rule. With room for S micro-batches an order never holds too much, so there is one.
void search_order(const PipelineSchedule& schedule, const PipelineTimes& times,
                  Pipeline& pipeline) {
  const int stages = pipeline.stages, micro_batches = pipeline.micro_batches;
  ListRule rule{.forward_first = schedule.kind == ScheduleKind::kGpipe,
                .split = schedule.kind == ScheduleKind::kZeroBubble};
  const int most = most_held(schedule, stages, micro_batches);
  Shortest shortest(times, most, pipeline);
  if (schedule.kind == ScheduleKind::kInterleaved && micro_batches % stages == 0)
    shortest.offer(interleaved(stages, schedule.chunks_per_stage, micro_batches));
  if (rule.split && !schedule.fold) shortest.offer(zero_bubble(stages, micro_batches));
  const int least_room =
      std::min(micro_batches, schedule.kind == ScheduleKind::kGpipe ? micro_batches : stages);
  for (rule.room = least_room; rule.room <= std::min(micro_batches, most); ++rule.room) {
    if (!rule.split && !rule.forward_first) shortest.offer(pack_parts(pipeline, times, rule.room));
    for (double patience : {0.0, 0.5, 1.0})
      for (int group : {1, stages})
        for (bool weights_first : {false, true}) {
          if (weights_first && !rule.split) continue;
          rule.patience = patience;
          rule.group = group;
          rule.weights_before_forward = weights_first;
          shortest.offer(list_parts(pipeline, times, rule));
        }
  }
  shortest.take();
}

}  // namespace

void order_parts(const PipelineSchedule& schedule, const PipelineTimes& times, Pipeline& pipeline) {
  const bool linear = schedule.chunks(1) == 1;
  if (linear && schedule.kind == ScheduleKind::kGpipe)
    pipeline.order = gpipe(pipeline.stages, pipeline.micro_batches);
  else if (linear && schedule.kind == ScheduleKind::k1f1b)
    pipeline.order = one_forward_one_backward(pipeline.stages, pipeline.micro_batches);
  else
    search_order(schedule, times, pipeline);
}

}  // namespace lockstep
