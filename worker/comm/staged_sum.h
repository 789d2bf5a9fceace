#pragma once
// Large sums inside a node, of values in private memory, through a shared window. For worker/comm
// only.
//
// The values are cut into chunks, a chunk into P parts, one for each rank. For each chunk a rank
//   gives    copies the others' parts into its slot of the window,
//   sums     its own part, in the order of ranks; leaves the sums in its slot,
//   fetches  the others' sums.
// So it copies (P-1)/P of the bytes in, as many out, and adds P times 1/P of them. What goes
// into a slot is written past the caches, because lines out of another core's cache can travel
// slowly (2 GB/s measured, against 7 to 9 by way of memory). A rank counts the
// chunks that it has given and summed; the others wait for the counts.
//
//   P = 2     rank 0                         rank 1
//   given     b0 into its slot               a1 into its slot
//   summed    a = a0 + a1  (a1 from slot 1)  b = b0 + b1  (b0 from slot 0)
//   fetched   b from slot 1                  a from slot 0
//
// There are two slots, so that a chunk is given while the others still sum the one before. Chunk k
// + 2 is given after all have summed k (nobody reads what it overwrites), and summed after all have
// given k + 2, which each does after it has fetched k.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/comm/communicator_state.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {

/// The window of a group, and how far its ranks are. One sum at a time.
class StagedSum {
 public:
  static std::size_t window_bytes(int ranks);  // of a rank

  /// `window` is shared(), of window_bytes().
  StagedSum(SharedMemory window, int rank, int ranks)
      : window_(std::move(window)),
        rank_(rank),
        ranks_(ranks),
        from_(static_cast<std::size_t>(ranks)) {}

  /// Begins to sum `values` over the node, in place. T: float, double.
  template <typename T>
  void start(std::span<T> values, std::string_view name);
  /// Does what can be done without waiting, at most a few parts. True when done.
  /// @throws CommError if a rank gives another size.
  bool progress();

 private:
  struct Slot;
  struct Window;
  Window& window(int rank) const;
  std::byte* slot(int rank, std::uint64_t chunk) const;
  bool all_at_least(std::uint64_t count, bool summed) const;
  std::span<std::byte> part(std::uint64_t chunk, int rank) const;
  void give();
  void sum();
  void fetch();
  void check_sizes() const;

  SharedMemory window_;
  int rank_;
  int ranks_;

  std::vector<const std::byte*> from_;  // by rank, of the part that is being summed
  std::span<std::byte> values_ = {};
  CollectiveName name_ = {};
  bool doubles_ = false;
  std::size_t part_bytes_ = 0;
  std::uint64_t first_ = 0;  // chunks are counted on and on: the first of this sum,
  std::uint64_t end_ = 0;    // and one beyond its last
  std::uint64_t given_ = 0, summed_ = 0, fetched_ = 0;
};

}  // namespace lockstep
