#pragma once
// Sums over ranks, in place, with the same bits on every rank.
//
// Inside a node: shared memory. Small sums (up to 16 KiB): each rank shows its values to all, and
// adds those of all ranks in their order; one meeting (node_slots.h). Large ones: each rank adds
// 1/P of the values for all. Where the values lie in shared memory, as gradients do, nothing is
// copied (direct_sum.h, with a picture); else (P-1)/P of the bytes are copied in, as many out
// (staged_sum.h, another). All add in the order of ranks, so they give the same bits.
//
// Among nodes, messages. Where nodes have several ranks and gradients lie in shared memory, the
// ranks of a node sum theirs first, and one of each node goes on (two_level_sum.h).
//
// Ring (large). P ranks stand in a ring; each sends to the next and receives from the one before.
// The values are cut into P chunks, c0 .. cP-1. In step t rank r sends chunk
// r-t and receives chunk r-t-1 (mod P):
//   steps 0 .. P-2     reduce-scatter: what arrives is added to the own chunk and sent on in the
//   next
//                      step. Then rank r holds the whole sum of chunk r+1.
//   steps P-1 .. 2P-3  all-gather: what arrives is a finished sum; it is kept and sent on.
//
//   P = 3          rank 0          rank 1          rank 2
//   start          a0 b0 c0        a1 b1 c1        a2 b2 c2
//   step 0         a0 -> 1         b1 -> 2         c2 -> 0
//                  c20             a01             b12            (c20 = c2 + c0, and so on)
//   step 1         c20 -> 1        a01 -> 2        b12 -> 0
//                  b120            c201            a012           reduce-scatter is done
//   step 2         b120 -> 1       c201 -> 2       a012 -> 0
//   step 3         a012 -> 1       b120 -> 2       c201 -> 0      every rank has all three
//
//   Each rank sends 2(P-1) chunks, 2(P-1)/P of the bytes in all, whatever P is; the latency is
//   2(P-1) messages. Chunks travel in segments: a segment is sent on as soon as it is added, so
//   adding, sending and receiving overlap. A chunk is summed in the order of the ring, on one rank
//   at a time, and then copied: the bits depend on values, ranks and size, and not on timing or on
//   the size of segments.
//
// Recursive doubling (small, where latency counts). With P = 2^k ranks, in step s rank r swaps all
// its values with rank r xor 2^s and adds: k messages of all bytes. Both partners compute lower +
// upper, so they get the same bits. If P is not a power of 2, the first 2(P - 2^k) ranks first fold
// in pairs (odd to even), and even hands the result back at the end: k + 2 messages. A message
// travels in pieces that MPI sends at once.
//
//   P = 4:   0 <-> 1   2 <-> 3      (0+1) (0+1) (2+3) (2+3)
//            0 <-> 2   1 <-> 3      (0+1)+(2+3) on all
//
// Halving and doubling (between the two: as few bytes as the ring, in 2k messages). In step s of k rank
// r swaps half of what it still has with rank r xor 2^s, and adds the half that it keeps; then all goes
// back the same way: each swaps its finished part with rank r xor 2^s, s from k-1 down to 0. Ranks
// beyond a power of 2 fold as above. Each value is summed on one rank, then copied.
//
//   P = 4          rank 0    rank 1    rank 2    rank 3
//   0 <-> 1 ..     ab01      cd01      ab23      cd23
//   0 <-> 2 ..     a0123     c0123     b0123     d0123      reduce-scatter is done
//   0 <-> 2 ..     ab        cd        ab        cd
//   0 <-> 1 ..     abcd      abcd      abcd      abcd
//
// Messages of gradients may carry bfloat16 (AllReduceOptions::wire): half the bytes. What is sent is
// rounded, what comes is added in f32, a finished sum is rounded once before it is copied: a value is
// rounded P times in the ring, k + 1 times in halving and doubling.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "worker/comm/all_reduce_table.h"
#include "worker/comm/communicator.h"

namespace lockstep {

class SharedMemory;

enum class AllReduceAlgorithm {
  kAuto,  // as the table says; without one shared memory inside a node, messages between nodes
  kRing,  // ours by messages only, inside a node too: ring, recursive doubling for small ones
  kMpi,   // MPI_Allreduce and MPI_Iallreduce, for comparison; their order of sums is MPI's affair
};

/// As what a message carries gradients.
enum class Wire { kF32, kBf16 };

struct AllReduceOptions {
  AllReduceAlgorithm algorithm = AllReduceAlgorithm::kAuto;
  Wire wire = Wire::kF32;              // of AsyncAllReduce; not in shared memory, nor by MPI's sums
  std::size_t small_bytes = 32 << 10;  // up to here all_reduce_sum takes recursive doubling
  std::size_t segment_bytes = 512 << 10;  // of the ring; at least one value
  int window = 2;                         // segments under way in each direction, 1 to 8
  AllReduceTable table = {};              // of kAuto; equal on all ranks
};

/// The options for ranks on so many nodes: between nodes a segment's way takes longer than adding one, and each waits for
/// an answer of its receiver before it goes, so that more of them are under way. Does not change bits.
AllReduceOptions fitted_to_nodes(AllReduceOptions options, int nodes);

/// Sums `values` over the group, in place, and waits for it. T is float or double; all ranks give
/// the same size and options. Allocates only when it grows the group's scratch memory.
/// @throws CommError naming the call, `name`, the peer and the bytes.
template <typename T>
void all_reduce_sum(const Communicator& group, std::span<T> values, std::string_view name,
                    const AllReduceOptions& options = {});

/// Bytes that a group takes for an all_reduce_sum of so many doubles, at most.
std::size_t sum_scratch_bytes(std::size_t doubles, int ranks, const AllReduceOptions& options = {});

/// Bytes that an AsyncAllReduce of up to so many floats takes, at most.
std::size_t async_scratch_bytes(std::size_t floats, int ranks,
                                const AllReduceOptions& options = {});

/// An all-reduce that runs beside computation: start it, call progress() now and then, finish
/// it. Several may be under way at once (one per bucket): start them in the same order on all
/// ranks, and finish them in the same order too, or poll all of them. Allocates nothing after
/// construction. Must not outlive the group. All functions throw CommError as above; after that it
/// is of no use.
class AsyncAllReduce {
 public:
  /// For sums of up to `max_values`. Collective: made by all ranks in the same order. `memory`:
  /// where the values of all sums will lie, at the same place on all ranks and from a cache line
  /// on. If it is shared(), they are summed there; it must outlive this.
  AsyncAllReduce(const Communicator& group, std::size_t max_values,
                 const AllReduceOptions& options = {}, const SharedMemory* memory = nullptr);
  AsyncAllReduce(AsyncAllReduce&&) noexcept;
  AsyncAllReduce& operator=(AsyncAllReduce&&) noexcept;
  ~AsyncAllReduce();

  /// Begins to sum `values` in place; until finish() returns nobody else may touch them.
  /// `sequence` is any number that is the same on all ranks, and another for each sum under way.
  /// @throws InternalError if the last sum is still under way or `values` is larger than planned.
  void start(std::span<float> values, std::uint64_t sequence, std::string_view name);

  /// Does what can be done now without waiting, at most a few segments. True when idle.
  bool progress();

  /// Returns when the sum is there; spins briefly, then yields the core while it waits.
  void finish();

  /// Nothing is under way.
  bool idle() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
