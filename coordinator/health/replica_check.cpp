#include "coordinator/health/replica_check.h"

#include <algorithm>
#include <map>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {
namespace {

/// Replicas whose hash of a tensor is not that of more than half of them.
std::vector<int> against_majority(std::span<const std::vector<std::uint64_t>> hashes,
                                  std::size_t tensor) {
  std::map<std::uint64_t, std::size_t> votes;
  for (const auto& of_replica : hashes) ++votes[of_replica[tensor]];
  const auto most =
      std::ranges::max_element(votes, {}, [](const auto& vote) { return vote.second; });
  std::vector<int> outliers;
  if (2 * most->second <= hashes.size()) return outliers;
  for (std::size_t r = 0; r < hashes.size(); ++r)
    if (hashes[r][tensor] != most->first) outliers.push_back(static_cast<int>(r));
  return outliers;
}

std::string describe(const Divergence& d, const std::string& tensor,
                     std::span<const int> world_ranks) {
  std::string who;
  for (int replica : d.outliers)
    who += (who.empty() ? "rank " : ", rank ") +
           std::to_string(world_ranks[static_cast<std::size_t>(replica)]);
  if (who.empty())
    who = world_ranks.size() == 2
              ? "rank " + std::to_string(world_ranks[0]) + " and rank " +
                    std::to_string(world_ranks[1]) + " (of two nobody can tell which is right)"
              : "no majority of the replicas agrees";
  return "the parameters of replicas differ, first in " + tensor + ", in " +
         std::to_string(d.tensors) + (d.tensors == 1 ? " tensor: " : " tensors: ") + who +
         ". A memory or a sum is damaged. Restart: training resumes from the newest good "
         "checkpoint; if it is the same rank again, leave out its node";
}

}  // namespace

std::optional<Divergence> find_divergence(std::span<const std::vector<std::uint64_t>> hashes) {
  std::optional<Divergence> found;
  for (std::size_t t = 0; t < hashes[0].size(); ++t) {
    const bool equal =
        std::ranges::all_of(hashes, [&](const auto& h) { return h[t] == hashes[0][t]; });
    if (equal) continue;
    if (!found) found = Divergence{.tensor = t, .outliers = against_majority(hashes, t)};
    ++found->tensors;
  }
  return found;
}

void compare_replicas(ModelState& state, const Communicator& replicas, std::int64_t step,
                      std::span<const int> world_ranks) {
  const std::uint64_t hash = hash64(std::as_bytes(state.parameters()));
  const auto all = replicas.all_gather_value(hash, "parameter hash");
  if (std::ranges::all_of(all, [&](std::uint64_t other) { return other == all[0]; })) return;

  const auto& parameters = state.graph().parameters();
  std::vector<std::uint64_t> mine;
  for (std::size_t p = 0; p < parameters.size(); ++p)
    mine.push_back(
        hash64(std::as_bytes(state.parameter(static_cast<ParameterId>(p), state.parameters()))));
  std::vector<std::uint64_t> gathered(mine.size() * all.size());
  replicas.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(gathered)),
                      "tensor hashes");
  std::vector<std::vector<std::uint64_t>> hashes;
  for (std::size_t r = 0; r < all.size(); ++r) {
    const auto begin = gathered.begin() + static_cast<std::ptrdiff_t>(r * mine.size());
    hashes.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(mine.size()));
  }
  const auto found = find_divergence(hashes);
  const std::string where = "step " + std::to_string(step) + ": ";
  if (!found)
    throw CommError(where +
                    "the parameters of replicas differ between their tensors: memory is damaged");
  throw CommError(where + describe(*found, parameters[found->tensor].name, world_ranks));
}

}  // namespace lockstep
