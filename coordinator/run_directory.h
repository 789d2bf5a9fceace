#pragma once
#include <filesystem>
#include <memory>

#include "coordinator/job.h"
#include "coordinator/run_lock.h"
#include "coordinator/stop_file.h"

namespace lockstep {

/// runs/NAME of a training. Rank 0 keeps it: opens it, holds its lock, and looks for the file that asks to stop. On the
/// other ranks it is a path.
class RunDirectory {
 public:
  explicit RunDirectory(const RunOptions& options);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }

  /// Rank 0. `anew`: what is there of an older run is set aside. `recovers`: after ranks were lost; then a rank 0 that
  /// holds the lock is known to be dead, and the lock taken over without much waiting.
  /// @throws ConfigError if another job trains here, or run.start_from is what would be set aside.
  void open(const RunOptions& options, bool anew, bool recovers);

  /// The file `stop` is there; rank 0, false on others.
  bool asked_to_stop();
  void take_stop_file() const { lockstep::take_stop_file(path_); }
  /// @throws ConfigError if another job has taken the directory.
  void check_lock() const;

 private:
  void check_start_from(const RunOptions& options) const;

  std::filesystem::path path_;
  std::unique_ptr<RunLock> lock_;  // rank 0
  StopFileWatch stop_file_;        // rank 0
};

}  // namespace lockstep
