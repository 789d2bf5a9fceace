#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace lockstep {

/// One entry of what a stage does, as far as other stages are concerned.
struct StageAction {
  enum class Kind {
    kRun,           // computes; never waits
    kStartSend,     // hands a message over; does not wait
    kStartReceive,  // makes room for one; does not wait
    kFinish,  // waits for a message that this stage started: one that it sends is finished when
              // its receiver has started to receive it, and the other way round
  };
  Kind kind = Kind::kRun;
  std::string name;  // of the part or of the message
  int peer = 0;      // the other stage
  int tag = 0;       // messages from one stage to another match by tag, those of a tag in order
  std::size_t bytes = 0;
  int started = 0;  // kFinish: position of the kStart... in this list
};

/// Runs the stages' lists against each other, before they run for real.
/// @throws InternalError naming the messages and stages: a send without a receive (or the other way
/// round), a pair of different names or sizes, a message that is never finished, stages that wait
/// for each other.
void check_messages(const std::vector<std::vector<StageAction>>& stages);

}  // namespace lockstep
