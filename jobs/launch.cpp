// lockstep launch -n N [--threads T] SUBCOMMAND ...: becomes the mpirun of the MPI that lockstep
// was built with. A bare `mpirun` may be another MPI's: every rank would then be alone in a world
// of its own.
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <vector>

#include "data/error.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/cores.h"
#include "jobs/launch_plan.h"
#include "jobs/value_text.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

/// How many words come before the subcommand: its options are not ours.
std::size_t count_own_words(std::span<const std::string> words) {
  std::size_t i = 0;
  while (i < words.size() && words[i].starts_with('-')) {
    const bool value_follows = words[i] == "-n" || words[i] == "--ranks" || words[i] == "--threads";
    i += value_follows ? 2 : 1;
  }
  return std::min(i, words.size());
}

fs::path program_path() { return fs::read_symlink("/proc/self/exe"); }

/// Relative to the program where it lies in the same tree, so that a moved tree works.
fs::path find_mpirun(const fs::path& program) {
  const fs::path mpirun = (program.parent_path() / LOCKSTEP_MPIRUN).lexically_normal();
  if (!fs::exists(mpirun)) {
    throw MissingFileError("the mpirun that lockstep was built with, " + mpirun.string() +
                           ", is gone; install it again and build lockstep with it");
  }
  return mpirun;
}

int nodes_of_allocation() {
  const char* text = std::getenv("SLURM_JOB_NUM_NODES");
  int nodes = 1;
  if (text) read_value(std::string_view(text), nodes);
  return std::max(1, nodes);
}

[[noreturn]] void become(const LaunchPlan& plan) {
  for (const auto& [name, value] : plan.environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const std::string& word : plan.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::cout.flush();
  execv(words[0], words.data());
  throw IoError("cannot start " + plan.command[0] + ": " + std::strerror(errno));
}

}  // namespace

int run_launch(std::span<const std::string> arguments) {
  int ranks = 0, threads = 0;
  CommandSyntax syntax;
  syntax.usage = "launch -n N [OPTIONS] SUBCOMMAND ...";
  syntax.about =
      "Runs `lockstep SUBCOMMAND ...` on N ranks with the mpirun of the MPI that lockstep was "
      "built\n"
      "with, each rank on cores of its own where there are enough. Exits with the ranks' exit "
      "code.";
  syntax.options.add_options()("ranks,n", po::value<int>(&ranks)->value_name("N")->required(),
                               "How many ranks.")(
      "threads", po::value<int>(&threads)->value_name("T"),
      "Threads of each rank. Default: its share of the cores.")(
      "dry-run", "Print the command instead of running it.");
  const std::size_t own = count_own_words(arguments);
  const auto values = parse_command_line(syntax, arguments.first(own));
  if (!values) return 0;
  if (ranks < 1) throw ConfigError("lockstep launch: -n must be at least 1");
  if (values->count("threads") && threads < 1) {
    throw ConfigError("lockstep launch: --threads must be at least 1");
  }
  if (own == arguments.size()) {
    throw ConfigError("lockstep launch: what shall run? Add a subcommand, as in: train JOB.cfg");
  }

  LaunchRequest request;
  request.ranks = ranks;
  request.threads = threads;
  request.cores = usable_cores() * nodes_of_allocation();
  request.as_root = geteuid() == 0;
  request.program = program_path();
  request.mpirun = find_mpirun(request.program);
  request.arguments.assign(arguments.begin() + static_cast<std::ptrdiff_t>(own), arguments.end());
  const LaunchPlan plan = plan_launch(request);
  if (!values->count("dry-run")) become(plan);
  std::cout << to_shell(plan) << "\n";
  return 0;
}

}  // namespace lockstep
