#include "coordinator/stages/pipeline_forecast.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "coordinator/plan/index.h"
#include "data/error.h"

namespace lockstep {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

}  // namespace

double PartTimes::of(PartKind kind) const {
  switch (kind) {
    case PartKind::kForward:
      return forward;
    case PartKind::kBackward:
      return backward();
    case PartKind::kBackwardData:
      return backward_data;
    case PartKind::kBackwardWeights:
      return backward_weights;
  }
  return 0;
}

PartTimes& PartTimes::operator+=(const PartTimes& other) {
  forward += other.forward;
  backward_data += other.backward_data;
  backward_weights += other.backward_weights;
  return *this;
}

PartClock::PartClock(const Pipeline& pipeline, const PipelineTimes& times)
    : pipeline_(pipeline),
      times_(times),
      finish_(2 * pipeline.stage_of_chunk.size() * at(pipeline.micro_batches), kNever) {}

double& PartClock::finish(Row row, int chunk, int micro_batch) {
  const std::size_t line = at(row) * pipeline_.stage_of_chunk.size() + at(chunk);
  return finish_[line * at(pipeline_.micro_batches) + at(micro_batch)];
}

double PartClock::finish(Row row, int chunk, int micro_batch) const {
  return const_cast<PartClock*>(this)->finish(row, chunk, micro_batch);
}

double PartClock::arrival(Row row, int from, int to, int micro_batch) const {
  const auto& stage = pipeline_.stage_of_chunk;
  const bool moves = !times_.transfer.empty() && stage[at(from)] != stage[at(to)];
  return finish(row, from, micro_batch) + (moves ? times_.transfer[at(std::min(from, to))] : 0);
}

double PartClock::ready(const Part& part) const {
  const int c = part.chunk, m = part.micro_batch;
  const int last = static_cast<int>(pipeline_.stage_of_chunk.size()) - 1;
  switch (part.kind) {
    case PartKind::kForward:
      return c == 0 ? 0 : arrival(kForwardRow, c - 1, c, m);
    case PartKind::kBackward:
    case PartKind::kBackwardData: {
      const double own = finish(kForwardRow, c, m);
      return c == last ? own : std::max(own, arrival(kBackwardRow, c + 1, c, m));
    }
    case PartKind::kBackwardWeights:
      return finish(kBackwardRow, c, m);
  }
  return kNever;
}

double PartClock::seconds(const Part& part) const {
  return times_.chunks[at(part.chunk)].of(part.kind);
}

void PartClock::run(const Part& part, double begin) {
  const double end = begin + seconds(part);
  end_ = std::max(end_, end);
  if (part.kind == PartKind::kBackwardWeights) return;  // nobody waits for them
  const Row row = part.kind == PartKind::kForward ? kForwardRow : kBackwardRow;
  finish(row, part.chunk, part.micro_batch) = end;
}

double PipelineForecast::bubble() const {
  const double work = std::accumulate(busy.begin(), busy.end(), 0.0);
  return seconds > 0 ? 1 - work / (seconds * static_cast<double>(busy.size())) : 0;
}

PipelineForecast forecast(const Pipeline& pipeline, const PipelineTimes& times) {
  PartClock clock(pipeline, times);
  PipelineForecast result{.seconds = 0, .busy = std::vector<double>(pipeline.order.size(), 0)};
  std::vector<std::size_t> next(pipeline.order.size(), 0);
  std::vector<double> free(pipeline.order.size(), 0);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t s = 0; s < pipeline.order.size(); ++s) {
      for (; next[s] < pipeline.order[s].size(); ++next[s], moved = true) {
        const Part& part = pipeline.order[s][next[s]];
        const double ready = clock.ready(part);
        if (ready == kNever) break;
        const double begin = std::max(free[s], ready);
        clock.run(part, begin);
        free[s] = begin + clock.seconds(part);
        result.busy[s] += clock.seconds(part);
      }
    }
  }
  for (std::size_t s = 0; s < pipeline.order.size(); ++s)
    if (next[s] < pipeline.order[s].size())
      throw InternalError("the order of a pipeline's parts waits for itself: stage " +
                          std::to_string(s) + ", part " + std::to_string(next[s]));
  result.seconds = clock.end();
  return result;
}

namespace {

/// +1: held from now on, -1: let go.
int held_after(PartKind kind) {
  if (kind == PartKind::kForward) return 1;
  return kind == PartKind::kBackwardData ? 0 : -1;
}

}  // namespace

double ideal_bubble(const Pipeline& pipeline) {
  return forecast(pipeline, {.chunks = std::vector<PartTimes>(pipeline.stage_of_chunk.size()),
                             .transfer = {}})
      .bubble();
}

std::vector<int> most_in_flight(const Pipeline& pipeline) {
  std::vector<int> now(pipeline.stage_of_chunk.size(), 0), most = now;
  for (const std::vector<Part>& parts : pipeline.order)
    for (const Part& part : parts) {
      now[at(part.chunk)] += held_after(part.kind);
      most[at(part.chunk)] = std::max(most[at(part.chunk)], now[at(part.chunk)]);
    }
  return most;
}

std::vector<int> most_held(const Pipeline& pipeline) {
  std::vector<int> most;
  for (const std::vector<Part>& parts : pipeline.order) {
    int now = 0, peak = 0;
    for (const Part& part : parts) peak = std::max(peak, now += held_after(part.kind));
    most.push_back(peak);
  }
  return most;
}

}  // namespace lockstep
