#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// An IPv4 address of an interface that is up; loopback is none.
struct NetworkAddress {
  std::string interface;
  std::uint32_t address = 0;  // 10.77.0.1 is 0x0a4d0001
  int prefix = 32;            // bits of the network

  std::string text() const;  // "10.77.0.1"
};
std::vector<NetworkAddress> addresses_of_this_node();
/// Those without the networks that exclude_inner_networks() has left out.
std::vector<NetworkAddress> addresses_for_messages();

/// "10.77.0.1/24", and its network, "10.77.0.0/24".
std::string to_string(const NetworkAddress& address);
std::string network_of(const NetworkAddress& address);

/// Networks that programs for containers and virtual machines have made inside this node (docker0, virbr0, ...): they
/// lead to no other node, and have the same address on all. Not those in which another interface is, too. Pure.
std::vector<std::string> inner_networks(std::span<const NetworkAddress> addresses);

/// Keeps Open MPI's TCP off this node's inner networks, by OMPI_MCA_btl_tcp_if_exclude: it would take them for the way to
/// other nodes and wait for ever. Does nothing where there are none, and where the environment or a parameter file of
/// Open MPI chooses interfaces. Before MPI starts; other MPIs do not know the variable.
void exclude_inner_networks();

}  // namespace lockstep
