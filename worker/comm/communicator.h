#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "worker/comm/collective_log.h"

namespace lockstep {

enum class ReduceOp { kMin, kMax, kSum };

/// How a group uses its nodes; groups that are split from it do the same. Equal on all ranks.
struct GroupOptions {
  std::size_t shared_memory_bytes = SIZE_MAX;  // of a rank, that one use may take of /dev/shm
  int ranks_per_node = 0;  // > 0: as if each so many ranks of the job had a node of their own
};

/// A group of ranks and the collectives among them. Owns its MPI communicator. Collectives are
/// called by all ranks of the group in the same order, from the thread that started MPI; waiting
/// spins briefly, then yields the core. `name` says in errors and in the log what a call was for.
/// All throw CommError if MPI fails, a rank or root is out of range, or sizes do not agree.
class Communicator {
 public:
  /// All ranks of the job. Needs an MpiSession. Collective.
  static Communicator world(const GroupOptions& options = {});

  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();

  int rank() const;
  int size() const;
  int node_rank() const;  // among the ranks of this group on the same node
  int node_size() const;
  int nodes() const;  // on which the group has ranks

  /// The ranks that give the same `color` (>= 0), ordered by `key`, then by rank. Collective.
  Communicator split(int color, int key, std::string_view name = "group") const;

  void barrier(std::string_view name = "barrier") const;

  /// `bytes` has the same size on all ranks.
  void broadcast(std::span<std::byte> bytes, int root, std::string_view name) const;
  /// The others' `text` and `values` take the root's size.
  void broadcast(std::string& text, int root, std::string_view name) const;
  template <typename T>
  void broadcast(std::vector<T>& values, int root, std::string_view name) const;
  template <typename T>
  void broadcast_value(T& value, int root, std::string_view name) const;

  /// all[r * mine.size() ...] = what rank r gave. `mine` has the same size on all ranks, `all` is
  /// size() times as long.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all,
                  std::string_view name) const;
  /// One value from each rank, by rank.
  template <typename T>
  std::vector<T> all_gather_value(const T& mine, std::string_view name) const;

  /// On the root, what each rank gave, by rank; empty elsewhere.
  std::vector<std::string> gather(const std::string& mine, int root, std::string_view name) const;

  /// Messages between two ranks; `bytes` has the same size on both sides, tags are 0 to 32767.
  void send(std::span<const std::byte> bytes, int to, int tag, std::string_view name) const;
  void recv(std::span<std::byte> bytes, int from, int tag, std::string_view name) const;

  /// For decisions: combined in the order of ranks, so all get the same bits, NaN included.
  std::int64_t all_reduce(std::int64_t value, ReduceOp op, std::string_view name) const;
  double all_reduce(double value, ReduceOp op, std::string_view name) const;

  /// For ranks that wait long for the others' broadcast(): it looks rarely, and sleeps between.
  void broadcast_asleep(std::span<std::byte> bytes, int root, std::string_view name) const;

  /// When a rank of the job may be lost (mpi.h: ulfm_is_on()). How survivors come together again:
  ///   each that gets a RankLostError, of whichever group, calls revoke() on the world: who waits for
  ///   it gets one too, wherever that is. Groups of this world are of no use then, and are to be
  ///   destroyed after revoke(): what they have under way is waited for.
  ///   all call agree(), those that were not disturbed too; if it says no, all call survivors().
  /// Called on the world.
  void revoke() const;
  /// Whether all living ranks say so; the same answer on all of them. Works on a revoked world.
  bool agree(bool mine) const;
  /// A new world of the living ranks, in their order, with a log of its own. More may die meanwhile.
  /// Collective among the living.
  Communicator survivors() const;
  /// A rank of this group is known to be dead.
  bool has_lost() const;

  /// The last collectives of this rank, on this communicator and all that were split from it.
  const CollectiveLog& log() const;

  struct State;  // worker/comm/communicator_state.h, for the sources of this folder
  State& state() const { return *state_; }

 private:
  explicit Communicator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

template <typename T>
void Communicator::broadcast(std::vector<T>& values, int root, std::string_view name) const {
  static_assert(std::is_trivially_copyable_v<T>);
  std::uint64_t count = values.size();
  broadcast_value(count, root, name);
  values.resize(count);
  broadcast(std::as_writable_bytes(std::span<T>(values)), root, name);
}

template <typename T>
void Communicator::broadcast_value(T& value, int root, std::string_view name) const {
  static_assert(std::is_trivially_copyable_v<T>);
  broadcast(std::as_writable_bytes(std::span<T>(&value, 1)), root, name);
}

template <typename T>
std::vector<T> Communicator::all_gather_value(const T& mine, std::string_view name) const {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all(static_cast<std::size_t>(size()));
  all_gather(std::as_bytes(std::span<const T>(&mine, 1)), std::as_writable_bytes(std::span<T>(all)),
             name);
  return all;
}

}  // namespace lockstep
