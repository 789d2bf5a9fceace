#include "coordinator/stages/placement.h"

#include <algorithm>
#include <charconv>

#include "data/error.h"

namespace lockstep {

namespace {

PipelineSchedule parse_kind(const std::string& text) {
  if (text == "gpipe") return {.kind = ScheduleKind::kGpipe};
  if (text == "1f1b") return {.kind = ScheduleKind::k1f1b};
  if (text == "zero-bubble") return {.kind = ScheduleKind::kZeroBubble};
  const std::string prefix = "interleaved:";
  int chunks = 0;
  if (text.starts_with(prefix)) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, chunks);
    if (error == std::errc{} && stop == end && chunks >= 2)
      return {.kind = ScheduleKind::kInterleaved, .chunks_per_stage = chunks};
  }
  throw ConfigError("parallel.schedule = '" + text +
                    "': use gpipe, 1f1b, zero-bubble, or interleaved:V with V at least 2");
}

}  // namespace

PipelineSchedule parse_pipeline_schedule(const std::string& text, bool fold) {
  PipelineSchedule schedule = parse_kind(text);
  if (fold && schedule.kind == ScheduleKind::kInterleaved)
    throw ConfigError(
        "parallel.fold gives every stage two chunks already; use it with "
        "parallel.schedule = gpipe, 1f1b or zero-bubble");
  schedule.fold = fold;
  return schedule;
}

std::vector<int> place_chunks(const PipelineSchedule& schedule, int stages) {
  const int chunks = schedule.chunks(stages);
  std::vector<int> stage_of_chunk;
  for (int c = 0; c < chunks; ++c)
    stage_of_chunk.push_back(schedule.fold ? std::min(c, chunks - 1 - c) : c % stages);
  return stage_of_chunk;
}

}  // namespace lockstep
