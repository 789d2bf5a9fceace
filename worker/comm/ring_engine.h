#pragma once
// The state machine of the ring of all_reduce.h, without memory of its own. For worker/comm only.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/wire.h"

namespace lockstep {

/// Values per segment: no more than a chunk needs, so that small sums take little scratch memory.
template <typename T>
std::size_t ring_segment(const AllReduceOptions& options, std::size_t values, int ranks) {
  const std::size_t chunk = values / static_cast<std::size_t>(ranks) + 1;
  const std::size_t wanted = std::min(options.segment_bytes, std::size_t{1} << 30) / sizeof(T);
  return std::clamp<std::size_t>(wanted, 1, chunk);
}
inline constexpr int kMaxRingWindow = 8;
inline int ring_window(const AllReduceOptions& options) {
  return std::clamp(options.window, 1, kMaxRingWindow);
}
/// What comes and, where values travel as another type, what goes.
template <typename T, typename W = T>
std::size_t ring_scratch_values(std::size_t values, int ranks, const AllReduceOptions& options) {
  return ring_segment<T>(options, values, ranks) * static_cast<std::size_t>(ring_window(options)) *
         (std::is_same_v<T, W> ? 1 : 2);
}

/// A rank handles two streams of segments, in the order (step, segment): those that it receives and
/// those that it sends. In step t it sends the chunk that it received in step t-1, so a send waits
/// for the segment of the same number one step earlier to be received (and added).
/// In the reduce-scatter a segment is received into a slot of the scratch memory and then added; in
/// the all-gather it is received in place, once our own send of that place (P-1 steps earlier) is
/// done. T is what is summed, W what travels: T, or Bf16 for floats, which goes by slots always.
template <typename T, typename W = T>
class RingEngine {
 public:
  static constexpr int kMaxWindow = kMaxRingWindow;

  /// `scratch` has ring_scratch_values(). Borrows the channel and the scratch.
  RingEngine(const Channel& channel, std::span<W> scratch, std::size_t segment_values, int window);

  void start(std::span<T> values, int tag, std::string_view name);
  bool progress();  // true when done
  bool done() const;
  /// Gives up what is under way; the memory must stay valid, since MPI may still write to it.
  void abandon();

 private:
  struct Place {  // in a stream
    int step = 0;
    std::size_t segment = 0;
    auto operator<=>(const Place&) const = default;
  };
  struct Requests {  // at most a window of them, oldest first
    std::array<MPI_Request, kMaxWindow> items;
    std::uint64_t posted = 0;
    std::uint64_t retired = 0;
  };

  int steps() const { return 2 * (channel_->size - 1); }
  bool reduces(int step) const { return step < channel_->size - 1; }
  bool by_slot(int step) const { return !std::is_same_v<T, W> || reduces(step); }
  W* receive_slot(std::uint64_t number) const;
  W* send_slot(std::uint64_t number) const;
  int sent_chunk(int step) const { return wrap(channel_->rank - step); }
  int received_chunk(int step) const { return wrap(channel_->rank - step - 1); }
  int wrap(int chunk) const;
  std::size_t chunk_begin(int chunk) const;
  std::size_t segments(int chunk) const;
  std::span<T> segment_of(int chunk, std::size_t segment) const;
  void settle_send(Place& place) const;  // skips steps whose chunk is empty
  void settle_receive(Place& place) const;

  void post();
  bool post_receive();
  bool post_send();
  bool take_receive();
  bool retire_send();

  const Channel* channel_;
  std::span<W> scratch_;
  std::size_t segment_values_;
  int window_;

  std::span<T> values_ = {};
  int tag_ = 0;
  CollectiveName name_ = {};
  Place next_receive_;  // to be posted
  Place next_taken_;    // posted, to be received and added
  Place next_send_;     // to be posted
  Place next_sent_;     // posted, to be done
  Requests receives_;
  Requests sends_;
};

}  // namespace lockstep
