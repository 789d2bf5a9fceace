#include "worker/comm/network_check.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

const NetworkAddress kEth1{"eth0", 0x0a4d0001, 24}, kEth2{"eth0", 0x0a4d0002, 24};
const NetworkAddress kDocker{"docker0", 0xac110001, 16};
const NetworkAddress kTest{"test0", 0xac100001, 16};

NetworkFacts facts(int rank, const char* host, std::vector<NetworkAddress> addresses,
                   std::vector<int> silent) {
  return {.rank = rank,
          .host = host,
          .chosen = "",
          .addresses = std::move(addresses),
          .silent = std::move(silent)};
}

bool says(const std::string& text, const std::string& words) {
  if (text.find(words) != std::string::npos) return true;
  ADD_FAILURE() << text << "\ndoes not say: " << words;
  return false;
}

TEST(NetworkCheck, NamesBothHostsTheAddressThatBothHaveAndTheNetworkThatWorks) {
  const NetworkFacts all[] = {facts(0, "n1", {kEth1, kTest}, {1}),
                              facts(1, "n2", {kEth2, kTest}, {0})};
  const std::string text = network_error(all, 30, "runs/a/network-1");
  says(text, "rank 0 on n1 (eth0 10.77.0.1/24, test0 172.16.0.1/16)");
  says(text, "rank 1 on n2 (eth0 10.77.0.2/24, test0 172.16.0.1/16)");
  says(text, "within 30 s (watchdog.network_s). Both hosts have the address 172.16.0.1 (test0)");
  says(text,
       "mpirun --mca btl_tcp_if_include 10.77.0.0/24, or OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 "
       "in");
}

TEST(NetworkCheck, AHostThatSaysNothingAndMorePairs) {
  const NetworkFacts all[] = {facts(0, "n1", {kEth1}, {2, 3}), facts(1, "n1", {kEth1}, {2, 3})};
  const std::string text = network_error(all, 5, "runs/a/network-1");
  says(text, "rank 2 (which has written nothing to runs/a/network-1)");
  says(text, "and so do 3 more pairs of ranks");
  says(text, "Is a link down, a firewall between them");
}

TEST(NetworkCheck, InterfacesThatWereChosenAndNoCommonNetwork) {
  NetworkFacts chosen[] = {facts(0, "n1", {kEth1}, {1}), facts(1, "n2", {kEth2}, {0})};
  chosen[0].chosen = "OMPI_MCA_btl_tcp_if_include=eth7";
  says(network_error(chosen, 5, "d"), "chosen by OMPI_MCA_btl_tcp_if_include=eth7: does it hold");
  const NetworkFacts apart[] = {facts(0, "n1", {kTest}, {1}), facts(1, "n2", {kTest}, {0})};
  says(network_error(apart, 5, "d"), "no network in common");
}

TEST(InnerNetworks, BridgesOfContainersButNotANetworkThatLeadsOut) {
  const std::vector<NetworkAddress> node{kEth1, kDocker, {"br-0123456789ab", 0xac120001, 16}};
  EXPECT_EQ(inner_networks(node), (std::vector<std::string>{"172.17.0.0/16", "172.18.0.0/16"}));
  EXPECT_TRUE(inner_networks(std::vector<NetworkAddress>{kEth1, {"br0", 0x0a4e0001, 24}}).empty());
  const NetworkAddress real{"eth1", 0xac110005, 24};
  EXPECT_TRUE(inner_networks(std::vector<NetworkAddress>{kDocker, real}).empty());
}

}  // namespace
}  // namespace lockstep
