#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "coordinator/job.h"
#include "coordinator/overcommit.h"

namespace lockstep {

/// The machines that a planned job will run on: all like this one.
struct PlanMachines {
  int ranks = 1;                 // of the job, on each
  std::size_t bytes = SIZE_MAX;  // that these may use together
};

/// Of `ranks` ranks on so many machines; 0 machines: one, or those of Slurm's allocation.
PlanMachines plan_machines(int ranks, int machines);

/// The fullest of the machines. `stage_bytes`: planned for a rank of each stage.
MachineUse machine_use(const Job& job, int ranks, const PlanMachines& machines,
                       std::span<const std::size_t> stage_bytes);

/// Warns where the ranks of a machine have more threads than one like this has CPUs.
void warn_of_crowded_machine(int threads, const PlanMachines& machines);

/// One line of the memory that `lockstep plan` shows.
std::string machine_use_text(const MachineUse& use);

/// Holds it against what the machine has, unless the job has a memory.budget_mib. `would_fit` says what would, into a
/// rank's share. @throws ConfigError, or warns where memory.on_overcommit = warn.
void judge_memory(const Job& job, const MachineUse& use,
                  const std::function<std::string(std::size_t share_bytes)>& would_fit);

}  // namespace lockstep
