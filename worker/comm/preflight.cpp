#include "worker/comm/preflight.h"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <sstream>

#include "data/error.h"
#include "data/version.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

using Ranks = std::vector<std::size_t>;

constexpr const char* kBinding =
    "give each rank CPUs of its own: mpirun --map-by slot:PE=N --bind-to core, or srun "
    "--cpus-per-task=N --cpu-bind=cores (N CPUs a rank), or do not bind: mpirun --bind-to none";

/// MPICH goes on for a screen about how it was configured.
std::string first_line(std::string text) {
  text.erase(std::min(text.find('\n'), text.size()));
  text.erase(text.find_last_not_of(std::string(" \0", 2)) + 1);
  return text;
}

std::string place(std::span<const RankFacts> facts, std::size_t rank) {
  return "rank " + std::to_string(rank) + " on " + facts[rank].host;
}

void refuse_lonely_ranks(std::span<const RankFacts> facts) {
  for (const RankFacts& fact : facts) {
    if (fact.world_size != 1 || !fact.launcher || fact.launcher->ranks <= 1) continue;
    const std::string ranks = std::to_string(fact.launcher->ranks);
    throw ConfigError("the launcher started " + ranks + " ranks (" + fact.launcher->variable +
                      "), but each of them is alone in MPI: launcher and MPI library do not fit. "
                      "lockstep uses " +
                      fact.mpi_library +
                      "; start it with the mpirun of that library, with srun --mpi=pmix, or with "
                      "lockstep launch -n " +
                      ranks);
  }
}

void refuse_different(std::span<const RankFacts> facts, std::string RankFacts::*what,
                      const std::string& noun, const std::string& way_out) {
  for (std::size_t rank = 1; rank < facts.size(); ++rank) {
    if (facts[rank].*what == facts[0].*what) continue;
    throw ConfigError("the ranks have different " + noun + ": " + place(facts, 0) + " has \"" +
                      facts[0].*what + "\", " + place(facts, rank) + " has \"" + facts[rank].*what +
                      "\"; " + way_out);
  }
}

std::vector<int> intersection(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

std::vector<int> cpus_of_all(std::span<const RankFacts> facts, const Ranks& ranks) {
  std::vector<int> all;
  for (const std::size_t rank : ranks) {
    std::vector<int> more;
    std::set_union(all.begin(), all.end(), facts[rank].cpus.begin(), facts[rank].cpus.end(),
                   std::back_inserter(more));
    all = std::move(more);
  }
  return all;
}

// Ranks of one node that may run on exactly the same CPUs, by their mask.
using Masks = std::map<std::vector<int>, Ranks>;

void refuse_overlap(std::span<const RankFacts> facts, const Masks& masks) {
  for (auto a = masks.begin(); a != masks.end(); ++a) {
    if (a->second.size() > a->first.size()) {
      throw ConfigError(std::to_string(a->second.size()) + " ranks (" + place(facts, a->second[0]) +
                        ", rank " + std::to_string(a->second[1]) + ", ...) are bound to CPUs " +
                        format_cpus(a->first) + " while others are free; " + kBinding);
    }
    for (auto b = std::next(a); b != masks.end(); ++b) {
      const std::vector<int> both = intersection(a->first, b->first);
      if (both.empty()) continue;
      throw ConfigError("ranks overlap: " + place(facts, a->second[0]) + " is bound to CPUs " +
                        format_cpus(a->first) + ", rank " + std::to_string(b->second[0]) + " to " +
                        format_cpus(b->first) + ", both to " + format_cpus(both) + "; " + kBinding);
    }
  }
}

void judge_node(std::span<const RankFacts> facts, const Ranks& ranks, PreflightReport& report) {
  const std::vector<int> cpus = cpus_of_all(facts, ranks);
  if (cpus.empty()) return;  // this system does not tell
  if (cpus.size() < ranks.size()) {
    report.warnings.push_back(std::to_string(ranks.size()) + " ranks share " +
                              std::to_string(cpus.size()) + " CPUs (" + format_cpus(cpus) +
                              ") on " + facts[ranks[0]].host +
                              ": fine for a trial, slow for training");
    return;
  }
  Masks masks;
  for (const std::size_t rank : ranks) masks[facts[rank].cpus].push_back(rank);
  refuse_overlap(facts, masks);
}

std::string encode(const RankFacts& fact) {
  std::ostringstream text;
  text << fact.host << '\n' << fact.mpi_library << '\n' << fact.lockstep_version << '\n';
  text << fact.world_size << ' ' << (fact.launcher ? fact.launcher->ranks : 0) << ' '
       << (fact.launcher ? fact.launcher->variable : "-");
  for (const int cpu : fact.cpus) text << ' ' << cpu;
  return text.str();
}

RankFacts decode(const std::string& encoded) {
  std::istringstream text(encoded);
  RankFacts fact;
  LauncherSize launcher;
  std::getline(text, fact.host);
  std::getline(text, fact.mpi_library);
  std::getline(text, fact.lockstep_version);
  text >> fact.world_size >> launcher.ranks >> launcher.variable;
  if (launcher.ranks > 0) fact.launcher = launcher;
  for (int cpu = 0; text >> cpu;) fact.cpus.push_back(cpu);
  return fact;
}

std::vector<int> affinity() {
  for (int size = 1024; size <= 1 << 20;
       size *= 4) {  // the kernel refuses masks that are too short
    cpu_set_t* set = CPU_ALLOC(size);
    const std::size_t bytes = CPU_ALLOC_SIZE(size);
    std::vector<int> cpus;
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    for (int cpu = 0; known && cpu < size; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (known) return cpus;
  }
  return {};
}

}  // namespace

std::string format_cpus(std::span<const int> cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(cpus[i]);
    if (last > i) text += '-' + std::to_string(cpus[last]);
    i = last + 1;
  }
  return text;
}

std::optional<LauncherSize> launcher_size(const ReadVariable& read) {
  // Slurm comes last: under mpirun its variable counts the daemons of mpirun.
  for (const char* name :
       {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* value = read(name);
    if (value == nullptr) continue;
    const int ranks = std::atoi(value);
    if (ranks > 0) return LauncherSize{name, ranks};
  }
  return std::nullopt;
}

std::optional<int> launcher_rank(const ReadVariable& read) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"}) {
    const char* value = read(name);
    char* end = nullptr;
    const long rank = value ? std::strtol(value, &end, 10) : -1;
    if (rank >= 0 && end != value && *end == '\0') return static_cast<int>(rank);
  }
  return std::nullopt;
}

RankFacts facts_of_this_rank(const Communicator& world) {
  char host[MPI_MAX_PROCESSOR_NAME] = {};
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  check_mpi(MPI_Get_processor_name(host, &length), "MPI_Get_processor_name");
  check_mpi(MPI_Get_library_version(library, &length), "MPI_Get_library_version");
  return {.host = host,
          .mpi_library = first_line(library),
          .lockstep_version = version(),
          .world_size = world.size(),
          .cpus = affinity(),
          .launcher = launcher_size([](const char* name) { return std::getenv(name); })};
}

PreflightReport judge(std::span<const RankFacts> facts) {
  refuse_lonely_ranks(facts);
  refuse_different(facts, &RankFacts::mpi_library, "MPI libraries",
                   "load the same module, or set the same PATH and LD_LIBRARY_PATH, on all nodes");
  refuse_different(facts, &RankFacts::lockstep_version, "versions of lockstep",
                   "install the same one on all nodes, or start it from a shared directory");

  PreflightReport report;
  report.ranks = static_cast<int>(facts.size());
  if (!facts.empty()) report.mpi_library = facts[0].mpi_library;
  std::map<std::string, Ranks> nodes;
  for (std::size_t rank = 0; rank < facts.size(); ++rank) nodes[facts[rank].host].push_back(rank);
  report.nodes = static_cast<int>(nodes.size());
  for (const auto& [host, ranks] : nodes) judge_node(facts, ranks, report);
  return report;
}

PreflightReport preflight(const Communicator& world) {
  const auto encoded = world.gather(encode(facts_of_this_rank(world)), 0, "preflight facts");
  PreflightReport report;
  std::string error;
  if (world.rank() == 0) {
    std::vector<RankFacts> facts;
    for (const std::string& text : encoded) facts.push_back(decode(text));
    try {
      report = judge(facts);
    } catch (const ConfigError& fatal) {
      error = fatal.what();
    }
  }
  world.broadcast(error, 0, "preflight error");
  if (!error.empty()) throw ConfigError(error);

  world.broadcast_value(report.ranks, 0, "preflight ranks");
  world.broadcast_value(report.nodes, 0, "preflight nodes");
  world.broadcast(report.mpi_library, 0, "preflight library");
  std::uint64_t warnings = report.warnings.size();
  world.broadcast_value(warnings, 0, "preflight warnings");
  report.warnings.resize(warnings);
  for (std::string& warning : report.warnings) world.broadcast(warning, 0, "preflight warning");
  return report;
}

}  // namespace lockstep
