#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "data/timing.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {

struct AllReduceBenchOptions {
  AllReduceOptions ours;
  /// A call takes the next buffer of a pool that is larger than the caches, so that it finds its
  /// values in memory, as after a backward pass; `hot`: always the same one.
  bool hot = false;
  std::size_t pool_bytes = 320 << 20;  // at least; two buffers if that is more
  int turns = 31;                      // of each side
  std::size_t turn_bytes = 4 << 20;    // that a turn sums in all, in 1 to 200 calls

  std::size_t memory_bytes(std::size_t largest) const;  // what time_all_reduce needs
};

/// Seconds of a call, medians of turns; a turn is as long as its slowest rank.
struct AllReduceSeconds {
  double ours = 0, mpi = 0;
  double ratio = 0;   // median of MPI's turn by ours right before it
  Interval interval;  // of that, 95%
};

/// Ours beside MPI_Allreduce, in turns, on `bytes` of floats or doubles: small sums as batch
/// norm's, by all_reduce_sum; large ones of floats as gradients', by AsyncAllReduce. Every sum is
/// checked. Collective; all ranks give the same arguments. `memory`, of memory_bytes(bytes) or
/// more, holds both sides' values.
/// @throws InternalError if a sum is wrong, CommError.
template <typename T>
AllReduceSeconds time_all_reduce(const Communicator& group, std::size_t bytes,
                                 const SharedMemory& memory, const AllReduceBenchOptions& options);

/// How fast each method is on so many bytes, beside MPI_Allreduce.
struct MethodSpeeds {
  SumKind kind;
  std::size_t bytes;
  std::vector<std::pair<SumMethod, double>> mpi_over;  // MPI's time by the method's; not of kMpi

  SumMethod best() const;  // kMpi, if none is faster
};

/// Measures all methods that the group can use, on sums of 128 B to 32 KiB and gradients of 64 KiB
/// to 64 MiB, as far as they lie in [from, to]. Calls `tell` after each size. Collective, as above.
std::vector<MethodSpeeds> time_methods(const Communicator& group, std::size_t from, std::size_t to,
                                       const SharedMemory& memory,
                                       const AllReduceBenchOptions& options,
                                       const std::function<void(const MethodSpeeds&)>& tell);

/// The best of each size, up to the next that has another; the largest of a kind without an end.
AllReduceTable table_of(std::span<const MethodSpeeds> speeds);

}  // namespace lockstep
