#include "jobs/exit_codes.h"

namespace lockstep {

std::span<const ExitCodeMeaning> exit_codes() {
  static constexpr ExitCodeMeaning kCodes[] = {
      {"0", "done, or stopped as asked (lockstep stop)"},
      {"64", "the job file or the command line is wrong, or another job has the run directory"},
      {"65", "data or checkpoint is wrong"},
      {"66", "a file is missing"},
      {"70", "internal error"},
      {"74", "reading or writing failed"},
      {"75", "stopped early with a checkpoint (signal, time limit): start the same command again"},
      {"76", "MPI failed, ranks do not agree, a rank was lost, or training hangs: start again"},
      {"77", "training has diverged: change the job"},
      {"128+N",
       "ended by signal N at once: 130 by Ctrl-C twice, 137 by SIGKILL (often: out of memory)"},
  };
  return kCodes;
}

}  // namespace lockstep
