#include "worker/comm/network_check.h"

#include <mpi.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

#include "data/error.h"
#include "data/files.h"
#include "data/host.h"
#include "data/timing.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr int kTag = 7;
// More than the largest frame of a network: one that a switch does not take is found, too.
constexpr int kMessageBytes = 16 << 10;
constexpr int kMostPeers = 255;
constexpr double kForFacts_s = 3;    // the first rank waits for what the others know
constexpr double kForSpeaker_s = 5;  // the others wait for it to end the job
constexpr std::uint64_t kMostBytes = 1 << 20;

std::string list(std::span<const NetworkAddress> addresses) {
  std::string text;
  for (const NetworkAddress& one : addresses)
    text += (text.empty() ? "" : ", ") + one.interface + " " + to_string(one);
  return text.empty() ? "no address" : text;
}

/// Addresses that both have: who speaks to the other's speaks to itself.
std::vector<NetworkAddress> doubled(const NetworkFacts& a, const NetworkFacts& b) {
  std::vector<NetworkAddress> both;
  for (const NetworkAddress& one : a.addresses)
    if (std::ranges::find(b.addresses, one.address, &NetworkAddress::address) != b.addresses.end())
      both.push_back(one);
  return both;
}

/// Networks of `a` in which every host has an address of its own.
std::vector<std::string> common_networks(const NetworkFacts& a,
                                         std::span<const NetworkFacts> facts) {
  std::vector<std::string> networks;
  for (const NetworkAddress& mine : a.addresses) {
    const std::string network = network_of(mine);
    const bool common = std::ranges::all_of(facts, [&](const NetworkFacts& other) {
      return other.host == a.host ||
             std::ranges::any_of(other.addresses, [&](const NetworkAddress& its) {
               return network_of(its) == network && its.address != mine.address;
             });
    });
    if (common) networks.push_back(network);
  }
  return networks;
}

std::string way_out(const NetworkFacts& a, std::span<const NetworkFacts> facts) {
  const std::vector<std::string> networks = common_networks(a, facts);
  if (networks.empty())
    return "they have no network in common in which each has an address of its own: start the job "
           "on nodes of one network";
  const std::string flag = "btl_tcp_if_include";
  std::string text = "name the network between them: mpirun --mca " + flag + " " + networks[0] +
                     ", or OMPI_MCA_" + flag + "=" + networks[0] +
                     " in the environment of lockstep launch, srun or sbatch";
  for (std::size_t i = 1; i < networks.size(); ++i) text += (i > 1 ? ", " : "; or ") + networks[i];
  return text;
}

std::string encode(const NetworkFacts& facts) {
  std::ostringstream text;
  text << facts.rank << ' ' << facts.host << '\n' << facts.chosen << '\n' << facts.silent.size();
  for (const int rank : facts.silent) text << ' ' << rank;
  for (const NetworkAddress& one : facts.addresses)
    text << '\n' << one.interface << ' ' << one.address << ' ' << one.prefix;
  text << '\n';
  return text.str();
}

NetworkFacts decode(const std::string& encoded) {
  std::istringstream text(encoded);
  NetworkFacts facts;
  std::size_t silent = 0;
  text >> facts.rank >> facts.host;
  text.ignore();  // the end of the line; the next may be empty
  std::getline(text, facts.chosen);
  text >> silent;
  for (int rank = 0; silent > 0 && text >> rank; --silent) facts.silent.push_back(rank);
  for (NetworkAddress one; text >> one.interface >> one.address >> one.prefix;)
    facts.addresses.push_back(one);
  return facts;
}

fs::path file_of(const fs::path& directory, int rank) {
  return directory / ("rank-" + std::to_string(rank));
}

std::string chosen_interfaces() {
  for (const char* name : {"OMPI_MCA_btl_tcp_if_include", "OMPI_MCA_btl_tcp_if_exclude"})
    if (const char* value = std::getenv(name)) return std::string(name) + "=" + value;
  return "";
}

void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

/// What the ranks wrote that have missed somebody, by rank.
std::vector<NetworkFacts> read_facts(const fs::path& directory, int ranks) {
  std::vector<NetworkFacts> all;
  std::error_code none;
  for (int rank = 0; rank < ranks; ++rank)
    if (const fs::path file = file_of(directory, rank); fs::exists(file, none))
      all.push_back(decode(read_text_file(file, kMostBytes)));
  return all;
}

/// Leaves what this rank knows where the others find it, and throws the error, or waits for who does.
[[noreturn]] void report(NetworkFacts mine, const NetworkCheck& options, int ranks) {
  std::vector<NetworkFacts> all;
  try {
    create_directories_durably(options.directory);
    const fs::path file = file_of(options.directory, mine.rank);
    const fs::path fresh = file.string() + ".tmp";
    write_file_durably(fresh, encode(mine));
    fs::rename(fresh, file);
    sleep(kForFacts_s);
    all = read_facts(options.directory, ranks);
  } catch (const std::exception&) {
    all.clear();  // then for this rank alone
  }
  if (all.empty()) all.push_back(std::move(mine));
  const bool speaks = all[0].rank == mine.rank;
  if (!speaks) sleep(kForSpeaker_s);
  std::error_code ignored;
  fs::remove_all(options.directory, ignored);
  throw CommError(network_error(all, options.deadline_s, options.directory));
}

/// Ranks before and behind this one, the nearest first.
std::vector<int> peers_of(int rank, int size) {
  std::vector<int> peers;
  for (int distance = 1; distance <= size / 2; ++distance) {
    if (size - 1 > kMostPeers && !std::has_single_bit(static_cast<unsigned>(distance))) continue;
    peers.push_back((rank + distance) % size);
    if (2 * distance != size) peers.push_back((rank + size - distance) % size);
  }
  return peers;
}

/// Messages to and from all peers, under way.
class Greetings {
 public:
  explicit Greetings(std::vector<int> peers)
      : peers_(std::move(peers)),
        bytes_(kMessageBytes * (peers_.size() + 1)),
        requests_(2 * peers_.size(), MPI_REQUEST_NULL) {
    for (std::size_t i = 0; i < peers_.size(); ++i)
      check_mpi(MPI_Irecv(bytes_.data() + kMessageBytes * (i + 1), kMessageBytes, MPI_BYTE,
                          peers_[i], kTag, MPI_COMM_WORLD, &requests_[i]),
                "MPI_Irecv", {"network check", peers_[i], kMessageBytes});
    for (std::size_t i = 0; i < peers_.size(); ++i)
      check_mpi(MPI_Isend(bytes_.data(), kMessageBytes, MPI_BYTE, peers_[i], kTag, MPI_COMM_WORLD,
                          &requests_[peers_.size() + i]),
                "MPI_Isend", {"network check", peers_[i], kMessageBytes});
  }

  bool progress() {
    bool all = true;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      int done = 0;
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      check_mpi(MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE), "MPI_Test",
                {"network check", peers_[i % peers_.size()], kMessageBytes});
      all = all && done;
    }
    return all;
  }

  /// Peers that have not sent, or not taken what was sent.
  std::vector<int> silent() const {
    std::vector<int> ranks;
    for (std::size_t i = 0; i < requests_.size(); ++i)
      if (requests_[i] != MPI_REQUEST_NULL) ranks.push_back(peers_[i % peers_.size()]);
    std::ranges::sort(ranks);
    const auto [end, last] = std::ranges::unique(ranks);
    ranks.erase(end, last);
    return ranks;
  }

 private:
  std::vector<int> peers_;
  std::vector<std::byte> bytes_;
  std::vector<MPI_Request> requests_;
};

}  // namespace

std::string network_error(std::span<const NetworkFacts> facts, double deadline_s,
                          const fs::path& directory) {
  const NetworkFacts& a = facts[0];
  const int silent = a.silent.at(0);
  std::ostringstream text;
  const auto says = [&](const NetworkFacts& one) {
    text << "rank " << one.rank << " on " << one.host << " (" << list(one.addresses) << ")";
  };
  says(a);
  text << " and ";
  const auto found = std::ranges::find(facts, silent, &NetworkFacts::rank);
  const bool known = found != facts.end();
  if (known)
    says(*found);
  else
    text << "rank " << silent << " (which has written nothing to " << directory.string() << ")";
  text << " do not hear each other by MPI: not all of a first message has come within "
       << deadline_s << " s (watchdog.network_s)";
  std::size_t pairs = 0;
  for (const NetworkFacts& one : facts)
    pairs += static_cast<std::size_t>(
        std::ranges::count_if(one.silent, [&](int rank) { return rank > one.rank; }));
  if (pairs > 1) text << ", and so do " << pairs - 1 << " more pairs of ranks";
  text << ". ";
  const std::vector<NetworkAddress> both =
      known ? doubled(a, *found) : std::vector<NetworkAddress>{};
  if (known && a.host == found->host)
    text << "Both are on one host: is its /dev/shm full, or does it let ranks not see each other?";
  else if (!both.empty())
    text << "Both hosts have the address " << both[0].text() << " ("
         << both[0].interface << "), so that each may have spoken to itself: " << way_out(a, facts);
  else if (!a.chosen.empty())
    text << "Their interfaces were chosen by " << a.chosen
         << ": does it hold for both? If it does: is a firewall between them, or a link down?";
  else
    text << "Is a link down, a firewall between them, or an MTU larger than the switch's? If one "
            "of their networks leads nowhere, "
         << way_out(a, facts);
  return text.str();
}

void check_network(const NetworkCheck& options) {
  int rank = 0, size = 1;
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
  if (size == 1 || options.deadline_s == 0) return;
  // Kept for good if it fails: messages may come to it until the process ends.
  static std::optional<Greetings> greetings;
  greetings.emplace(peers_of(rank, size));
  const double end = seconds_now() + options.deadline_s;
  for (int looks = 0; !greetings->progress(); ++looks) {
    if (seconds_now() > end)
      report({.rank = rank,
              .host = host_name(),
              .chosen = chosen_interfaces(),
              .addresses = addresses_for_messages(),
              .silent = greetings->silent()},
             options, size);
    if (looks > 100) sleep(50e-6);
  }
  greetings.reset();
}

}  // namespace lockstep
