#pragma once
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace lockstep {

/// Who trains in a run directory, "process 12 on node1 since ..."; nothing if nobody holds its lock, or a process of
/// this machine that is gone.
std::optional<std::string> holder_of_lock(const std::filesystem::path& run_directory);

struct RunLockOptions {
  double beat_s = 10;      // the holder says so often that it lives
  double grace_s = 2;      // a holder on this machine may be dying
  double patience_s = 35;  // a holder on another machine that is silent for so long is dead
  bool hard_links = true;  // false: as where the file system has none
};

/// One job at a time in a run directory: the file `lock` there, held by rank 0 while it exists. It needs
/// neither flock nor clocks that agree, so it works on NFS and Lustre too.
///   taken     by link() of a file written beside it: either it is whole and ours, or another's. Where there are
///             no hard links, by open(O_EXCL): for a moment it is there, but empty.
///   held      by host, boot, process and its start; a counter in it is written on every few seconds.
///   stale     if its process is gone (same host and boot), its machine has booted again, or, from
///             another machine, if its counter stands still for `patience_s`: that takes waiting.
///   taken over by renaming it away, and back if it was not the one that was found stale.
/// What remains: between such a rename and its way back a third job may come in. Then the counter's
/// next turn finds another's lock, and lost() ends that job before it writes on.
class RunLock {
 public:
  /// @throws ConfigError naming host, process and since when, if another job holds it; IoError.
  explicit RunLock(const std::filesystem::path& run_directory, const RunLockOptions& options = {});
  /// Gives it back.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Somebody else has it now: a bug, or files removed by hand.
  bool lost() const { return lost_; }

 private:
  void take();
  bool try_take();
  bool link_it();
  void remove_stale(const std::string& text);
  void beat();

  std::filesystem::path path_;
  RunLockOptions options_;
  std::string mine_;  // without the counter
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::atomic<bool> lost_ = false;
  std::thread thread_;  // last: all else exists when it starts
};

}  // namespace lockstep
