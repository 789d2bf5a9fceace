#pragma once
#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/comm/communicator.h"

namespace lockstep {

/// Memory of each rank of a group that the other ranks on its node see too (POSIX shared memory;
/// its name is taken away as soon as all have opened it, so that nothing is left behind). Zeroed,
/// on page boundaries, and on the rank's own NUMA node. Where a rank is alone on its node, or
/// /dev/shm has no room, it is private memory: shared() tells. Must not outlive the group.
class SharedMemory {
 public:
  /// `bytes` for each rank, the same number on all. Collective.
  /// @throws IoError if there is no private memory either.
  SharedMemory(const Communicator& group, std::size_t bytes, std::string_view name);
  /// Private memory, for a rank alone.
  explicit SharedMemory(std::size_t bytes);
  SharedMemory(Communicator::State& group, std::size_t bytes, std::string_view name);
  SharedMemory(SharedMemory&&) noexcept;
  SharedMemory& operator=(SharedMemory&&) noexcept;
  ~SharedMemory();

  /// All ranks of the group on this node see each other's memory; false on one of them: on all.
  bool shared() const;
  std::byte* data() const;
  std::size_t bytes() const { return bytes_; }
  /// Of the rank with this node_rank(); if not shared(), only one's own.
  std::byte* of(int node_rank) const { return parts_[static_cast<std::size_t>(node_rank)]; }

 private:
  bool map_shared(Communicator::State& group, std::string_view name);
  void map_private();

  std::size_t bytes_;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  int node_rank_;
  std::vector<std::byte*> parts_;  // by node rank; empty pointers if not shared
};

}  // namespace lockstep
