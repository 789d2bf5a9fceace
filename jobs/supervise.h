#pragma once
#include <filesystem>

#include "jobs/launch_plan.h"
#include "jobs/restart_policy.h"

namespace lockstep {

struct SuperviseOptions {
  std::filesystem::path run_directory;
  bool begins_anew = false;   // run.resume = false: of the first start only
  bool ranks_may_go = false;  // without ending the training: read_end() tells how it ended
  std::size_t ranks = 1;
  bool one_node = true;  // then what killed ranks leave in /tmp and /dev/shm can be removed
  RestartOptions restarts;
};

/// Runs a training to its end, through failures: starts the ranks again from the newest good
/// checkpoint, as RestartPolicy decides, and says each time what was lost. Returns an exit code.
///
/// SIGTERM, SIGUSR1, SIGHUP and SIGINT are passed on as SIGUSR1 (mpirun would kill the ranks at a SIGTERM):
/// they finish the step, save and exit with 75. A second SIGTERM or SIGINT ends them at once, with 128 + its number.
int supervise(const LaunchPlan& plan, const SuperviseOptions& options);

}  // namespace lockstep
