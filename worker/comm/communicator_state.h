#pragma once
// What a Communicator holds. For the sources of worker/comm only: this header brings <mpi.h>.
#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/comm/collective_log.h"
#include "worker/comm/communicator.h"
#include "worker/comm/mpi.h"

namespace lockstep {

/// Tags of the messages inside all-reduces, which travel on a communicator of their own. MPI
/// guarantees tags up to 32767.
inline constexpr int kBlockingTag = 32767;  // all_reduce_sum; others: sequence % kBlockingTag

struct Communicator::State {
  MPI_Comm comm = MPI_COMM_NULL;        // collectives of MPI, send, recv
  MPI_Comm reductions = MPI_COMM_NULL;  // messages of our all-reduces: no tag can be mistaken
  int rank = 0;
  int size = 1;
  int node_rank = 0;
  int node_size = 1;
  bool crowded = false;  // the node has more ranks of the job than CPUs for them
  std::string name;
  std::uint64_t sequence = 0;          // collectives so far; equal on all ranks
  std::shared_ptr<CollectiveLog> log;  // shared by all that were split from one world
  std::vector<std::byte> scratch;      // of blocking all-reduces; grows to the largest, stays

  /// Takes `comm` over. `parent` is what it was split from, nullptr for the world. Collective.
  State(MPI_Comm taken, std::string_view group_name, const State* parent);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Logs a collective until the end of the scope.
  CollectiveScope record(CollectiveKind kind, std::size_t bytes, std::string_view what);
};

/// A counter for loops that poll: call pause() after each try that found nothing. It spins, then
/// yields the core between tries: soon where several ranks share a core (the one that we wait for
/// may need ours), late where each has its own (what else runs there would keep the core for
/// milliseconds).
class Backoff {
 public:
  explicit Backoff(bool crowded) : spins_(crowded ? 50 : 10'000) {}  // a try is 50 to 100 ns
  void pause();

 private:
  int spins_;
};

/// Waits for a request, with Backoff. Does nothing for MPI_REQUEST_NULL. @throws CommError
void wait_for(const Communicator::State& state, MPI_Request& request, const char* call,
              const CallContext& context, MPI_Status* status = MPI_STATUS_IGNORE);

}  // namespace lockstep
