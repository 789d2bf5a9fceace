#pragma once
#include <vector>

#include "coordinator/stages/pipeline_forecast.h"

namespace lockstep {

using Orders = std::vector<std::vector<Part>>;  // by stage

/// Which of several parts that are ready comes first.
struct ListRule {
  bool forward_first = false;  // gpipe
  bool split = false;          // backward in two parts
  bool weights_before_forward = false;
  double patience = 0;  // of a part's time: a backward that comes so soon is waited for
  int group = 1;        // micro-batches that go through a chunk before the next chunk's turn
  int room = 1;         // micro-batches that a stage holds
};

/// List scheduling: whenever a stage is free it takes what comes first of what is ready. `pipeline`
/// has everything but an order.
Orders list_parts(const Pipeline& pipeline, const PipelineTimes& times, const ListRule& rule);

/// One micro-batch after the other: each of its parts goes into the earliest gap of its stage that
/// is long enough. A micro-batch begins when the one `room` before it is done. Backward is not
/// split.
Orders pack_parts(const Pipeline& pipeline, const PipelineTimes& times, int room);

}  // namespace lockstep
