#pragma once
#include <optional>

namespace lockstep {

/// What mpirun or srun told this process, before MPI is started.
struct LauncherRank {
  int rank;
  int size;
};

/// Nothing if the process was started alone. Knows Open MPI's mpirun, Slurm's srun, and PMI
/// (MPICH).
std::optional<LauncherRank> launcher_rank();

}  // namespace lockstep
