#pragma once
#include <string>
#include <vector>

#include "coordinator/plan/pipeline.h"
#include "layers/layout.h"

namespace lockstep {

/// What travels from one stage of a replica to another, once for a micro-batch.
struct StageMessage {
  enum class What { kValue, kGradient, kLabels };
  What what = What::kValue;
  ValueId value = kNone;  // kValue, kGradient
  int reader = kNone;     // kGradient: the chunk that read the value; one message for each
  int micro_batch = 0;
  int from = 0, to = 0;     // stages
  int sent_in = 0;          // the part that makes it, in the order of `from`
  int received_before = 0;  // the part that reads it, in the order of `to`
  int arrived_before = 0;   // the part of `from` that waits until it has arrived: the first that
                            // cannot begin earlier anyway; if there is none, one a little later
                            // if that closes no cycle, else the length of the order (at the end)
  int tag = 0;              // counts the messages of two stages, modulo 32767
};

/// All messages of a step, ordered by sender, then by the part that sends. A value goes straight
/// from the chunk that makes it to each stage that reads it, once; labels go from the stage of the
/// images to that of the loss.
/// @throws ConfigError if the orders do not fit together: a part is missing, comes before what it
///         reads, or stages would wait for each other for ever (it names the messages).
std::vector<StageMessage> stage_messages(const Graph& graph, const Pipeline& pipeline);

/// "gradient of stem.relu, micro-batch 2, from stage 1 to 0".
std::string describe(const StageMessage& message, const Graph& graph);

/// By op: whether a stage runs it.
std::vector<bool> ops_of_stage(const Graph& graph, const Pipeline& pipeline, int stage);

/// The same chunks with forward parts alone.
Pipeline forward_only(Pipeline pipeline);

}  // namespace lockstep
