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
  std::string name;
  std::uint64_t sequence = 0;          // collectives so far; equal on all ranks
  std::shared_ptr<CollectiveLog> log;  // shared by all that were split from one world
  std::vector<std::byte> scratch;      // of blocking all-reduces; grows to the largest, stays

  /// Takes `comm` over.
  State(MPI_Comm taken, std::string_view group_name, std::shared_ptr<CollectiveLog> shared_log);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Logs a collective until the end of the scope.
  CollectiveScope record(CollectiveKind kind, std::size_t bytes, std::string_view what);
};

/// Waits for a request: spins briefly, then yields between tests, because several ranks may share a
/// core. Does nothing for MPI_REQUEST_NULL. @throws CommError
void wait_for(MPI_Request& request, const char* call, const CallContext& context,
              MPI_Status* status = MPI_STATUS_IGNORE);

/// A counter for loops that poll: call pause() after each try that found nothing.
class Backoff {
 public:
  void pause();

 private:
  int tries_ = 0;
};

}  // namespace lockstep
