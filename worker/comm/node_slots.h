#pragma once
// Small sums inside a node, through shared memory. For worker/comm only.
//
// Each rank has a slot that all others read. A sum has a number, the same on all ranks. A rank
// copies its values into its slot, unit by unit, and writes into each unit's flag the number of the
// sum (a release store: who sees the flag sees the values). Then it adds, unit by unit, the slots
// of all ranks in the order of ranks, its own among them, once it sees the flags: all ranks compute
// the same, so they get the same bits, after one meeting.
//
// Units: up to 256 bytes, cache lines of 56 bytes of values and their flag (one trip of a line
// brings both: 128 bytes take 70 ns between two cores instead of 90); above, blocks of 4 KiB with
// flags apart, so that adding a block overlaps copying the next.
//
// Slots are doubled: sum n uses one, n + 1 the other. A rank that starts n + 2 has seen all flags
// of n + 1, and a rank sets those only after it has read all of n: nobody reads what n + 2
// overwrites.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "worker/comm/communicator_state.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {

class NodeSlots {
 public:
  static constexpr std::size_t kMaxBytes = 16 << 10;  // of a sum
  static std::size_t window_bytes();                  // of a rank

  /// `window` is shared(), of window_bytes().
  NodeSlots(SharedMemory window, int rank, int ranks)
      : window_(std::move(window)), rank_(rank), ranks_(ranks) {}

  /// A sum of at most kMaxBytes begins: shows this rank's values to the others. T: float, double.
  template <typename T>
  void give(std::span<const T> values);
  /// Ends it: waits for the others' values; `values` are the sums over the node.
  /// @throws CommError if a rank died or gives another size.
  template <typename T>
  void sum(std::span<T> values, PeerWait& wait);

 private:
  struct Line;
  struct Slot;
  struct Window;
  Slot& slot(int rank) const;
  Slot& next_slot() const;
  template <typename T>
  void give_lines(std::span<const T> values);
  template <typename T>
  void give_blocks(std::span<const T> values);
  template <typename T>
  void sum_lines(std::span<T> values, PeerWait& wait);
  template <typename T>
  void sum_blocks(std::span<T> values, PeerWait& wait);
  void await(const std::atomic<std::uint64_t>& flag, int rank, PeerWait& wait) const;

  SharedMemory window_;
  int rank_;
  int ranks_;
  std::uint64_t number_ = 0;  // of the last sum
  std::uint64_t flag_ = 0;    // number and bytes of the sum under way
};

}  // namespace lockstep
