#pragma once
// How messages travel inside a node and between nodes. For worker/comm only.
#include <mpi.h>

#include <cstddef>

namespace lockstep {

/// Messages of up to so many bytes are sent at once; a larger one waits until the receiver has asked for it. So a small
/// sum goes inside a node in several of them (between 2 ranks 4 KiB in 1.1 us instead of 3.4, 16 KiB in 4.0 instead of
/// 5.9), and between nodes as one: each costs a call of the kernel and a packet.
struct EagerLimits {
  std::size_t inside_node = 4000;
  std::size_t between_nodes = 64 << 10;
};

/// As this MPI library tells (MPI_T: Open MPI's btl_sm_eager_limit and btl_tcp_eager_limit), else as above. The smallest
/// of all ranks of `comm`: both ends of a message must cut it alike. Collective.
EagerLimits eager_limits(MPI_Comm comm);

}  // namespace lockstep
