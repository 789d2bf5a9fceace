#include "coordinator/run_directory.h"

#include <spdlog/spdlog.h>

#include "coordinator/checkpoint_choice.h"
#include "coordinator/run_record.h"
#include "data/error.h"
#include "data/files.h"
#include "data/timing.h"

namespace lockstep {

RunDirectory::RunDirectory(const RunOptions& options)
    : path_(std::filesystem::path(options.directory) / options.name) {}

void RunDirectory::open(const RunOptions& options, bool anew, bool recovers) {
  create_directories_durably(path_);
  spdlog::info("run directory {}", path_.string());
  lock_ = std::make_unique<RunLock>(path_,
                                    recovers ? RunLockOptions{.patience_s = 1} : RunLockOptions{});
  if (stop_file_.watch(path_, !recovers))
    spdlog::info("removed {}, which was left from before this start", stop_file(path_).string());
  if (anew) {
    check_start_from(options);
    set_aside_run(path_);
  }
  create_directories_durably(checkpoints());
}

/// Before a run is set aside: what it is to begin with must exist, and not be set aside with it.
void RunDirectory::check_start_from(const RunOptions& options) const {
  if (options.start_from.empty()) return;
  const CheckpointChoice choice = parse_checkpoint_choice(options.start_from);
  const std::filesystem::path found = open_checkpoint(choice, path_).directory();
  const auto own = std::filesystem::weakly_canonical(checkpoints());
  if (std::filesystem::weakly_canonical(found).parent_path() == own)
    throw ConfigError("run.start_from = " + options.start_from +
                      " is a checkpoint of this run, which run.resume = "
                      "false sets aside; use another run.name");
}

bool RunDirectory::asked_to_stop() { return lock_ && stop_file_.asked(seconds_now()); }

void RunDirectory::check_lock() const {
  if (lock_ && lock_->lost())
    throw ConfigError(path_.string() +
                      ": another job has taken this directory; one of them "
                      "must have another run.name");
}

}  // namespace lockstep
