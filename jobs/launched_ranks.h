#pragma once
#include <signal.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/launch_plan.h"
#include "jobs/launcher_words.h"

namespace lockstep {

/// mpirun and its ranks, as children of this process. mpirun ends by SIGTERM if this process dies.
/// What ranks write to stderr passes through here, so that the reason of their end is known.
class LaunchedRanks {
 public:
  /// `signals` is mpirun's signal mask. The caller must be a subreaper (adopt_orphans()).
  LaunchedRanks(const LaunchPlan& plan, const sigset_t& signals);
  /// Kills what still runs.
  ~LaunchedRanks();
  LaunchedRanks(const LaunchedRanks&) = delete;
  LaunchedRanks& operator=(const LaunchedRanks&) = delete;

  void signal(int number) const { kill(pid_, number); }

  /// Readable when ranks have written to stderr; -1 after they have closed it.
  int errors() const { return errors_; }
  /// Writes on what has come since, without waiting.
  void pass_on_errors();

  /// Processes that mpirun has on this node, and those of them that are not stopped; nothing before it has any.
  struct Count {
    std::size_t all = 0, running = 0;
  };
  std::optional<Count> count();

  /// mpirun's exit code, 128 + signal if one ended it; nothing while it runs.
  std::optional<int> ended();

  /// The first error of a rank: the line without "lockstep: error: ".
  const std::string& words() const { return words_; }

 private:
  void note_error(const std::string& line);
  void show(const std::string& text) const;

  pid_t pid_ = -1;
  int errors_ = -1;
  bool running_ = true;
  bool peopled_ = false;  // mpirun has had processes
  std::string line_;      // of stderr, not ended yet
  std::string words_;
  LauncherWords launcher_;
};

/// A fresh directory under `parent`, removed at the end of the scope. If this process is killed the next one that makes
/// such a directory there removes it: it is locked as long as its owner lives.
class HeldDirectory {
 public:
  /// `least_age_s`: of what others left, so that one that is being made is left alone.
  explicit HeldDirectory(const std::filesystem::path& parent, double least_age_s = 60);
  ~HeldDirectory();
  HeldDirectory(const HeldDirectory&) = delete;
  HeldDirectory& operator=(const HeldDirectory&) = delete;

  /// Empty if it could not be made.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int held_ = -1;
};

/// Where MPI keeps its files while ranks run on this node: directories in /tmp and /dev/shm, removed
/// at the end of the scope. Without them each killed rank leaves megabytes in /dev/shm behind.
class MpiFiles {
 public:
  MpiFiles();

  /// Variables for mpirun: of Open MPI 5 and 4; other MPIs do not know them.
  std::vector<std::pair<std::string, std::string>> environment() const;

 private:
  HeldDirectory session_, segments_;  // one that could not be made: MPI takes its own
};

/// From now on processes whose parent died become children of this one instead of init's.
void adopt_orphans();

/// The children of a process.
std::vector<pid_t> children_of(pid_t parent);
/// Of this one. A shell may have given it some: the `tee` of `2> >(tee LOG)`.
std::vector<pid_t> children();

/// Kills all children of this process but `spared`, ranks whose mpirun died above all, and waits for
/// them: nobody may write to the run's directory when the next ranks start. False if some did not go
/// within `seconds` (a process that waits for a dead file system cannot be killed).
bool kill_children(const std::vector<pid_t>& spared, double seconds);

}  // namespace lockstep
