#pragma once
// Sums over several nodes with several ranks each, of values that lie in the nodes' shared memory:
// what goes over the network is one rank's share of a node's, not every rank's. For worker/comm
// only.
//
//   inside   the ranks of a node sum theirs where they lie (direct_sum.h)
//   among    the nodes' first ranks sum over the nodes, by messages (message_sum.h)
//   copy     the others copy the total from their node's first rank, which waits for them
//
// Ranks of a node are added in their order, then nodes in the messages': the bits depend on values and
// on who is on which node. N nodes send 2 (N - 1) / N of the bytes each.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/direct_sum.h"
#include "worker/comm/message_sum.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {

class TwoLevelSum {
 public:
  /// Nothing if the group lies on one node or on nodes of one rank each, or if a node has no shared
  /// memory for it. Collective. `memory`, where the values will lie, is borrowed.
  static std::optional<TwoLevelSum> make(Communicator::State& group, std::size_t values,
                                         const AllReduceOptions& options,
                                         const SharedMemory& memory);

  /// As DirectSum; `tag` is another for each sum under way.
  void start(std::span<float> values, int tag, std::string_view name);
  bool progress();
  void abandon();

 private:
  struct Window;
  enum class Phase { kInside, kAmong, kCopy, kDone };

  TwoLevelSum(SharedMemory window, std::optional<DirectSum> inside, const SharedMemory& memory,
              const Communicator::State& group, std::size_t values,
              const AllReduceOptions& options);
  Window& window(int rank) const;
  void among_nodes();
  bool copied_by_all() const;
  bool copy();

  SharedMemory window_;
  std::optional<DirectSum> inside_;  // nothing on a node of one rank
  const SharedMemory* memory_;
  int node_rank_, node_size_;
  std::unique_ptr<MessageSum> among_;  // of a node's first rank

  std::span<float> values_;
  int tag_ = 0;
  CollectiveName name_ = {};
  std::uint64_t number_ = 0;  // of the sum under way, or of the last
  std::size_t copied_ = 0;    // bytes of it
  Phase phase_ = Phase::kDone;
};

}  // namespace lockstep
