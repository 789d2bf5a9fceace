#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace lockstep {

/// What `lockstep launch` was asked for, and what the machine is.
struct LaunchRequest {
  int ranks = 1;
  int threads = 0;  // a rank; 0: its share of the cores
  int cores = 1;    // that this process may use, on all nodes of the job
  bool as_root = false;
  bool ulfm = false;  // ranks may be lost, and the others go on
  std::filesystem::path mpirun;
  std::filesystem::path program;       // lockstep itself
  std::vector<std::string> arguments;  // of lockstep: "train", "JOB.cfg", ...
};

struct LaunchPlan {
  std::vector<std::pair<std::string, std::string>> environment;  // in addition to the caller's
  std::vector<std::string> command;                              // command[0] is mpirun
};

/// Threads that a launched rank gets where nobody asks for a number: its share of the cores.
int launched_threads(int cores, int ranks);

/// Every rank gets `threads` cores of its own if there are enough, else none is bound.
/// The options are those of Open MPI 4 and 5.
LaunchPlan plan_launch(const LaunchRequest& request);

/// A word as a shell would need it.
std::string shell_quoted(const std::string& word);

/// As one line for a shell.
std::string to_shell(const LaunchPlan& plan);

}  // namespace lockstep
