#pragma once
// The state machine of halving and doubling of all_reduce.h, without memory of its own. For
// worker/comm only.
#include <mpi.h>

#include <cstddef>
#include <span>
#include <string_view>

#include "worker/comm/communicator_state.h"
#include "worker/comm/paired_ranks.h"
#include "worker/comm/wire.h"

namespace lockstep {

/// T is what is summed, W what travels: T, or Bf16 for floats.
template <typename T, typename W = T>
class HalvingDoubling {
 public:
  static std::size_t scratch_values(std::size_t values, int ranks);

  /// `scratch` has scratch_values() of the largest sum. Borrows the channel and the scratch.
  HalvingDoubling(const Channel& channel, std::span<W> scratch);

  void start(std::span<T> values, int tag, std::string_view name);
  /// Does what can be done now, at most a step. True when done.
  bool progress();
  /// Gives up what is under way; the memory must stay valid, since MPI may still write to it.
  void abandon();

 private:
  struct Range {  // of values
    std::size_t begin = 0, end = 0;
    std::size_t size() const { return end - begin; }
  };
  struct Step {  // with one partner: what we send it, and what it sends us
    int peer = 0;
    Range out, in;
    bool adds = false;      // what comes; else it is kept
    bool finishes = false;  // the sum of `in` is whole then
  };

  int steps() const {
    if (ranks_.gives(channel_->rank)) return 2;
    return 2 * ranks_.bits + (ranks_.takes(channel_->rank) ? 2 : 0);
  }
  Range range_at(int level) const;
  Range half_of(Range whole, bool upper) const;
  Step step(int number) const;
  Step step_of_pair(int number) const;
  bool receives_in_place(const Step& step) const;
  void post();
  void take();

  const Channel* channel_;
  std::span<W> scratch_;
  PairedRanks ranks_;
  int place_;  // of this rank among those that halve

  std::span<T> values_ = {};
  int tag_ = 0;
  CollectiveName name_ = {};
  int number_ = 0;  // of the step under way
  Step now_;
  MPI_Request receive_ = MPI_REQUEST_NULL, send_ = MPI_REQUEST_NULL;
};

}  // namespace lockstep
