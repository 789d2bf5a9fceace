#pragma once
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "coordinator/plan/draft.h"

namespace lockstep {

/// Where the next call may run. A call runs in the first level that has all that it reads, and not
/// before the cursor allows it.
struct LevelCursor {
  int part = 0;        // of the stage's order
  int part_first = 0;  // the part's first level; its first boundary is the one before
  int least = 0;       // for calls of lanes: evaluation is cut into levels
  int replay = kNone;  // calls are replays, not before this level
  int front = 0;       // the last level that lanes have come to

  /// Levels of a part lie above those of the part before: the scheduler keeps the stage's order.
  void begin_part(int index) {
    part = index;
    part_first = least = index == 0 ? 0 : front + 1;
  }
  int earliest(Place place) const {
    return place == Place::kLane ? std::max(least, replay) : part_first - 1;
  }
};

/// A call being put together: its operands, and which of them it reads and which it writes.
struct NewCall {
  Call call;
  std::vector<BufferId> reads = {}, writes = {};

  /// kNone: the call does without.
  NewCall& read(Role role, BufferId buffer);
  NewCall& write(Role role, BufferId buffer);
};

/// Adds buffers and calls to a draft. Knows how large things are on this rank (images, lanes,
/// storage, its part of the model state), and by when a buffer is written: what a call reads decides
/// its level.
class DraftWriter {
 public:
  DraftWriter(const Graph& graph, const PlanOptions& options);

  /// Whose images the next buffers and calls are about.
  void set_micro_batch(int micro_batch) { micro_batch_ = micro_batch; }
  LevelCursor& cursor() { return cursor_; }
  Draft& draft() { return draft_; }

  BufferId add_buffer(Buffer buffer);
  BufferId image_buffer(const std::string& name, BufferKind kind, std::size_t image_bytes);
  BufferId activation(const std::string& name, ValueId value);
  BufferId activation_gradient(const std::string& name, ValueId value);
  BufferId lane_buffer(const std::string& name, BufferKind kind, std::size_t bytes);  // a copy each
  BufferId fixed_buffer(const std::string& name, BufferKind kind, std::size_t bytes);
  /// A parameter, its gradient, a batch norm's running statistics: where they lie in the model state.
  BufferId parameter(ParameterId id, Segment segment);
  BufferId running(const Op& op);
  BufferId all_parameters(const std::string& name, Segment segment, std::size_t copies);
  /// A batch norm's part of what `level` reduces across ranks: 2C sums and the number of images.
  BufferId level_sums(const Op& op, int level, const std::string& suffix);
  std::size_t value_bytes(ValueId value) const;  // per image

  NewCall call(CallKind kind, OpId op) const;
  /// Adds a call, not before level `earliest`, and returns its level.
  int add(NewCall call, Place place, int earliest = -1);
  void add_to_tail(NewCall call);

  /// The first level whose lanes can read a buffer.
  int readable_level(BufferId buffer) const;
  /// The level in which lanes would run a call that reads these.
  int lane_level(std::span<const BufferId> reads) const;
  int lane_level(BufferId read) const { return lane_level({&read, 1}); }
  /// A message brings the buffer at the end of `level`.
  void arrives_after(int level, BufferId buffer);

 private:
  /// When a buffer has been written.
  struct Written {
    int level = 0;          // the first whose lanes can read it
    bool by_lanes = false;  // in this level
  };

  const Graph& graph_;
  const PlanOptions& options_;
  std::vector<std::size_t> parameter_offsets_, statistic_offsets_;
  Draft draft_;
  std::vector<Written> written_;  // by buffer
  LevelCursor cursor_;
  int micro_batch_ = 0;
};

}  // namespace lockstep
