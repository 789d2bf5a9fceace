#pragma once
// Sums inside a node of values that lie in shared memory: nothing is copied. For worker/comm only.
//
// The values are cut into P parts, one for each rank, and a part into chunks. Who sums a chunk
// reads it from all ranks, adds in their order and writes the sum to all: over all ranks each value
// is read once and written once.
//
//   P = 2     rank 0                            rank 1
//   ready     "my values may be read"           the same
//   summed    a = a0 + a1, to both ranks        b = b0 + b1, to both ranks
//   done, when all chunks of all parts are summed
//
// A rank sums its own part first, and then what nobody has taken yet of the others': one that waits
// does the work of one that still computes. Who it was does not change a bit.
//
// Sums are counted. A part has two counters that hold the sum's number too: chunks taken, and
// chunks summed. Its rank sets both before it is ready; a chunk is taken by compare-and-swap, which
// fails once the number has changed. A rank may begin sum n + 1 (and write to other values) while
// others have not yet seen that n is done, but not n + 2: that needs all to be ready for n + 1.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "worker/comm/communicator_state.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {

/// One sum at a time; several of these may work on one memory.
class DirectSum {
 public:
  static std::size_t window_bytes();  // of a rank

  /// Both shared(); `window` of window_bytes(). `memory`, where the values lie, is borrowed.
  DirectSum(SharedMemory window, const SharedMemory& memory, int rank, int ranks);

  /// Begins to sum `values` over the node, in place. They lie in the memory, from a cache line's
  /// beginning, and at the same place on all ranks. @throws InternalError
  void start(std::span<float> values, std::string_view name);
  /// Does what can be done without waiting, at most a few chunks. True when done.
  /// @throws CommError if a rank gives another size or place.
  bool progress();

 private:
  struct Place {  // of the values, in bytes
    std::size_t begin = 0, size = 0;
    bool operator==(const Place&) const = default;
  };
  struct Window;
  Window& window(int rank) const;
  bool all_ready() const;
  bool all_summed() const;
  void check_places() const;
  Place part(int rank) const;
  std::uint64_t chunks(int rank) const;
  std::optional<std::uint64_t> take(int rank);
  bool sum_a_chunk();

  SharedMemory window_;
  const SharedMemory* memory_;
  int rank_;
  int ranks_;

  std::vector<std::byte*> chunk_;  // by rank: the one that is being summed
  Place place_;
  CollectiveName name_ = {};
  std::uint64_t number_ = 0;  // of the sum under way, or of the last
  bool begun_ = false;        // all are ready
  bool done_ = true;
  int exhausted_ = 0;  // parts from one's own on of which all chunks are taken
};

}  // namespace lockstep
