#include "worker/comm/interfaces.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <ifaddrs.h>
#include <mpi.h>
#include <net/if.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::string dotted(std::uint32_t address) {
  char text[INET_ADDRSTRLEN] = {};
  const in_addr in{htonl(address)};
  inet_ntop(AF_INET, &in, text, sizeof text);
  return text;
}

std::uint32_t mask_of(int prefix) { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }

/// As Docker, libvirt, Podman, LXC and Kubernetes call their bridges.
bool is_inner(const std::string& interface) {
  constexpr std::size_t kHexDigits = 12;  // br-0123456789ab: a network of Docker's
  if (interface.size() == 3 + kHexDigits && interface.starts_with("br-"))
    return interface.find_first_not_of("0123456789abcdef", 3) == std::string::npos;
  constexpr const char* kBeginnings[] = {"docker", "virbr", "podman", "cni-podman", "lxcbr",
                                         "lxdbr",  "cni0",  "cbr0",   "nerdctl"};
  return std::ranges::any_of(kBeginnings,
                             [&](const char* with) { return interface.starts_with(with); });
}

/// What mpirun and the library read at their start.
std::vector<fs::path> parameter_files() {
  std::vector<fs::path> files{"/etc/openmpi/openmpi-mca-params.conf"};
  if (const char* home = std::getenv("HOME"))
    files.push_back(fs::path(home) / ".openmpi/mca-params.conf");
  Dl_info library{};
  if (dladdr(reinterpret_cast<const void*>(&MPI_Init_thread), &library) != 0 && library.dli_fname)
    files.push_back(fs::path(library.dli_fname).parent_path() / "../etc/openmpi-mca-params.conf");
  return files;
}

bool chooses_interfaces(const fs::path& file) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.substr(0, line.find('#')).find("btl_tcp_if_") != std::string::npos) return true;
  return false;
}

}  // namespace

std::string NetworkAddress::text() const { return dotted(address); }

std::string to_string(const NetworkAddress& address) {
  return address.text() + "/" + std::to_string(address.prefix);
}

std::string network_of(const NetworkAddress& address) {
  return dotted(address.address & mask_of(address.prefix)) + "/" + std::to_string(address.prefix);
}

std::vector<NetworkAddress> addresses_of_this_node() {
  std::vector<NetworkAddress> all;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return all;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (!one->ifa_addr || !one->ifa_netmask || one->ifa_addr->sa_family != AF_INET) continue;
    if (!(one->ifa_flags & IFF_UP) || (one->ifa_flags & IFF_LOOPBACK)) continue;
    const auto number = [](const sockaddr* a) {
      return ntohl(reinterpret_cast<const sockaddr_in*>(a)->sin_addr.s_addr);
    };
    all.push_back({one->ifa_name, number(one->ifa_addr), std::popcount(number(one->ifa_netmask))});
  }
  freeifaddrs(first);
  return all;
}

std::vector<std::string> inner_networks(std::span<const NetworkAddress> addresses) {
  std::vector<std::string> networks;
  for (const NetworkAddress& one : addresses) {
    const auto leads_out = [&](const NetworkAddress& other) {
      const std::uint32_t mask = mask_of(std::min(one.prefix, other.prefix));
      return !is_inner(other.interface) && (other.address & mask) == (one.address & mask);
    };
    if (is_inner(one.interface) && std::ranges::none_of(addresses, leads_out))
      networks.push_back(network_of(one));
  }
  return networks;
}

namespace {
std::vector<std::string> excluded;  // by this process
}  // namespace

std::vector<NetworkAddress> addresses_for_messages() {
  std::vector<NetworkAddress> all = addresses_of_this_node();
  std::erase_if(all, [](const NetworkAddress& one) {
    return std::ranges::find(excluded, network_of(one)) != excluded.end();
  });
  return all;
}

void exclude_inner_networks() {
  constexpr const char* kVariable = "OMPI_MCA_btl_tcp_if_exclude";
  if (std::getenv(kVariable) || std::getenv("OMPI_MCA_btl_tcp_if_include")) return;
  const std::vector<std::string> networks = inner_networks(addresses_of_this_node());
  if (networks.empty() || std::ranges::any_of(parameter_files(), chooses_interfaces)) return;
  std::string list = "127.0.0.0/8,sppp";  // Open MPI's own list
  for (const std::string& network : networks) list += "," + network;
  setenv(kVariable, list.c_str(), 1);
  excluded = networks;
}

}  // namespace lockstep
