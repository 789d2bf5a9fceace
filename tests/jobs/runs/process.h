#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace lockstep::test {

/// The program as users run it, in a process of its own; killed with all its ranks at the end of
/// the scope.
class Process {
 public:
  Process(std::vector<std::string> command, const std::filesystem::path& output);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Exit code (128 + signal if one ended it). Fails the test after `most`.
  int wait(std::chrono::seconds most = std::chrono::seconds(120));
  bool running();
  pid_t pid() const { return pid_; }
  void signal_ranks(int signal);  // to every descendant that runs `lockstep train`
  /// SIGKILL to everything below, and waits for it.
  void kill_all();

 private:
  pid_t pid_ = -1;
  int status_ = -1;
  bool ended_ = false;
};

/// All processes below `root`, by what /proc tells.
std::vector<pid_t> descendants(pid_t root);

/// A fresh directory that is removed at the end of the scope.
class FreshDirectory {
 public:
  FreshDirectory();
  ~FreshDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string file_text(const std::filesystem::path& path);

}  // namespace lockstep::test
