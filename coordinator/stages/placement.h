#pragma once
#include <string>
#include <vector>

namespace lockstep {

/// When a stage does which part of a step.
enum class ScheduleKind {
  kGpipe,        // all forwards, then all backwards (Huang et al. 2019, arXiv:1811.06965)
  k1f1b,         // one forward, one backward (Narayanan et al. 2019, PipeDream, SOSP)
  kInterleaved,  // the same with several chunks a stage (Narayanan et al. 2021, arXiv:2104.04473)
  kZeroBubble,   // weight gradients fill the gaps (Qi et al. 2023, arXiv:2401.10241)
};

struct PipelineSchedule {
  ScheduleKind kind = ScheduleKind::k1f1b;
  int chunks_per_stage = 1;  // V of interleaved:V
  bool fold = false;         // two chunks a stage, the encoder's with its decoder's

  int chunks(int stages) const { return stages * (fold ? 2 : chunks_per_stage); }
};

/// gpipe | 1f1b | interleaved:V | zero-bubble. @throws ConfigError.
PipelineSchedule parse_pipeline_schedule(const std::string& text, bool fold = false);

/// The stage of every chunk: chunk c on stage c mod S, or, folded, chunks c and 2S-1-c on stage c.
std::vector<int> place_chunks(const PipelineSchedule& schedule, int stages);

}  // namespace lockstep
