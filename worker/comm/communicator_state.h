#pragma once
// What a Communicator holds. For the sources of worker/comm only: this header brings <mpi.h>.
#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/comm/collective_log.h"
#include "worker/comm/communicator.h"
#include "worker/comm/mpi.h"
#include "worker/comm/transport.h"

namespace lockstep {

/// Tags of the messages inside all-reduces, which travel on a communicator of their own. MPI
/// guarantees tags up to 32767.
inline constexpr int kBlockingTag = 32767;  // all_reduce_sum; others: sequence % kBlockingTag

/// Ranks among whom the messages of all-reduces go, on an MPI communicator of their own.
struct Channel {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0;  // in the channel
  int size = 1;
  bool crowded = false;
  std::vector<int> ranks = {};     // of the group, by rank in the channel; empty: the same
  std::vector<char> on_node = {};  // by rank, whether on this one's node; empty: nobody else is
  EagerLimits eager = {};

  bool is_near(int member) const {
    return !on_node.empty() && on_node[static_cast<std::size_t>(member)] != 0;
  }
  std::size_t eager_bytes(int member) const {
    return is_near(member) ? eager.inside_node : eager.between_nodes;
  }
  int group_rank(int member) const {
    return ranks.empty() ? member : ranks[static_cast<std::size_t>(member)];
  }
};

class NodeSlots;
class StagedSum;

/// What a world and all groups that were split from it share.
class Family {
 public:
  explicit Family(std::shared_ptr<CollectiveLog> its_log) : log(std::move(its_log)) {}
  /// Counts `comm` among those that revoke() revokes, also if its group is never finished.
  MPI_Comm adopt(MPI_Comm comm);
  /// Frees it where all ranks come here: not after revoke(), nor when an exception has left the group.
  void release(MPI_Comm& comm);
  void revoke();
  /// A rank of one of its groups is known to be dead, or another rank has revoked one of them.
  bool disturbed() const;

  const std::shared_ptr<CollectiveLog> log;

 private:
  std::vector<MPI_Comm> comms_;
  bool revoked_ = false;
};

/// Of this process: since the first loss MPI_Finalize may wait for ever.
bool& ranks_were_lost();

/// For what is under way in `comm` when an error ends it. After a revoke() waits, for a second at most,
/// until MPI lets go of the memory; before it that must stay valid, since MPI may still use it.
void give_up(MPI_Comm comm, std::span<MPI_Request> requests);

struct Communicator::State {
  MPI_Comm comm = MPI_COMM_NULL;  // collectives of MPI, send, recv
  MPI_Comm node = MPI_COMM_NULL;  // the ranks on this node, by rank
  Channel reductions;             // all ranks; no tag of a message can meet these
  Channel first_ranks;            // the first of each node; without a communicator on the others
  int rank = 0;
  int size = 1;
  int node_rank = 0;
  int node_size = 1;
  int nodes = 1;
  bool crowded = false;  // the node has more ranks of the job than CPUs for them
  GroupOptions options;
  std::string name;
  std::uint64_t sequence = 0;  // collectives so far; equal on all ranks
  std::shared_ptr<Family> family;
  std::shared_ptr<CollectiveLog> log;  // the family's
  std::vector<std::byte> scratch;      // of blocking all-reduces; grows to the largest, stays
  std::unique_ptr<NodeSlots> slots;    // of small sums; nullptr: several nodes, one rank, no room
  std::unique_ptr<StagedSum> staged;   // of large sums; nullptr: as above

  /// Takes `taken` over. Of a world, or of a group that was split from `parent`. Collective.
  State(MPI_Comm taken, const GroupOptions& how, std::shared_ptr<Family> its);
  State(MPI_Comm taken, std::string_view group_name, const State& parent);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Logs a collective until the end of the scope.
  CollectiveScope record(CollectiveKind kind, std::size_t bytes, std::string_view what,
                         int peer = -1);

 private:
  State(MPI_Comm taken, std::string_view group_name, const GroupOptions& how,
        std::shared_ptr<Family> its, const State* parent);
};

/// Whether `mine` is true on all ranks of `comm`. Collective.
bool true_on_all(MPI_Comm comm, bool mine, std::string_view name);

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
void wait_for(bool crowded, MPI_Request& request, const char* call, const CallContext& context,
              MPI_Status* status = MPI_STATUS_IGNORE);

/// For loops that wait for another rank's word in shared memory: call pause() after each look that
/// found nothing. Like Backoff; and about once in a millisecond it asks MPI, so that messages go on
/// meanwhile and a rank that died is noticed (with ULFM; without, MPI's launcher ends the job).
class PeerWait {
 public:
  PeerWait(const Channel& channel, const CallContext& context)
      : channel_(channel), context_(context), spins_(channel.crowded ? 200 : 30'000) {}
  /// @throws CommError if a rank died.
  void pause();
  const CallContext& context() const { return context_; }

 private:
  const Channel& channel_;
  CallContext context_;
  int spins_;  // of 10 to 40 ns
  int yields_ = 0;
};

}  // namespace lockstep
