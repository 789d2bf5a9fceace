#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/memory.h"

namespace lockstep {

/// Where replicas that should be equal are not.
struct Divergence {
  std::size_t tensor = 0;     // the first that differs
  std::size_t tensors = 0;    // how many do
  std::vector<int> outliers;  // replicas that the majority is against; empty: there is no majority
};

/// `hashes`: of each replica, one for each tensor. Nothing if all replicas are equal.
std::optional<Divergence> find_divergence(std::span<const std::vector<std::uint64_t>> hashes);

/// Compares the parameters of all replicas: one hash each; if they differ, one for each tensor, to say
/// which. Collective. `world_ranks`: by replica. @throws CommError naming layer and, if there are at least three,
/// rank.
void compare_replicas(ModelState& state, const Communicator& replicas, std::int64_t step,
                      std::span<const int> world_ranks);

}  // namespace lockstep
