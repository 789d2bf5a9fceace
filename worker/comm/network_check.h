#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "worker/comm/interfaces.h"

namespace lockstep {

/// What a rank knows of the network.
struct NetworkFacts {
  int rank = 0;
  std::string host;
  std::string
      chosen;  // OMPI_MCA_btl_tcp_if_include or _exclude, as "variable=value"; empty: neither
  std::vector<NetworkAddress> addresses;
  std::vector<int> silent;  // ranks that it has not heard
};

/// Names a pair of hosts that do not hear each other, the addresses of both, what is probably wrong and what mends it.
/// `facts`, by rank, are of the ranks that reported; the first has a silent peer. Pure.
std::string network_error(std::span<const NetworkFacts> facts, double deadline_s,
                          const std::filesystem::path& directory);

struct NetworkCheck {
  double deadline_s = 30;  // 0: nothing is looked at
  // Made only if ranks do not hear each other, for what they know: another at each start, seen by all nodes.
  std::filesystem::path directory;
};

/// Exchanges a message with every other rank of MPI_COMM_WORLD, or, where there are more than 256, with those at
/// distances of powers of two, with which sums speak. MPI connects at the first message, and waits for ever for a peer
/// at a wrong address: so this comes before anything else is said. Collective; needs an MpiSession.
/// @throws CommError with network_error() if a rank has not been heard within the deadline. The lowest rank that missed
///         one throws it at once, the others a few seconds later: it ends the job meanwhile.
void check_network(const NetworkCheck& options);

}  // namespace lockstep
