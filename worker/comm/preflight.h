#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/comm/communicator.h"

namespace lockstep {

/// How many ranks the launcher says that it started, and where it says so.
struct LauncherSize {
  std::string variable;  // OMPI_COMM_WORLD_SIZE, ...
  int ranks = 0;
};

/// Reads a variable of the environment; nullptr if it is not set. std::getenv, or a test's.
using ReadVariable = std::function<const char*(const char*)>;

/// OMPI_COMM_WORLD_SIZE, PMI_SIZE, PMIX_SIZE or SLURM_STEP_NUM_TASKS, the first that is set.
std::optional<LauncherSize> launcher_size(const ReadVariable& read);

/// This process's rank: OMPI_COMM_WORLD_RANK, PMI_RANK, PMIX_RANK or SLURM_PROCID.
std::optional<int> launcher_rank(const ReadVariable& read);

/// What a rank knows about itself before anything has been decided.
struct RankFacts {
  std::string host;
  std::string mpi_library;  // the first line of MPI_Get_library_version
  std::string lockstep_version;
  int world_size = 1;
  std::vector<int> cpus;  // it may run on these (affinity mask), ascending
  std::optional<LauncherSize> launcher;
};
RankFacts facts_of_this_rank(const Communicator& world);

struct PreflightReport {
  int ranks = 1;
  int nodes = 1;
  std::string mpi_library;
  std::vector<std::string> warnings;  // what is slow but works
};

/// Decides, from the facts of all ranks (by rank), whether the job can start. Pure.
/// @throws ConfigError with the way out if
///   - a rank is alone in its world although the launcher started several,
///   - the ranks use different MPI libraries or versions of lockstep,
///   - ranks of one node are bound to CPUs that overlap only in part, or some of them crowd on CPUs
///     while there are enough for all. Ranks that share one set of CPUs (not bound) are fine; more
///     ranks than CPUs are a warning.
PreflightReport judge(std::span<const RankFacts> facts);

/// Exchanges the facts and judges them; all ranks get the same report or throw the same error.
/// Collective, to be called first after the world was made.
PreflightReport preflight(const Communicator& world);

/// {0, 1, 2, 3, 8} -> "0-3,8"
std::string format_cpus(std::span<const int> cpus);

}  // namespace lockstep
