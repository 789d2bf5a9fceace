#pragma once
#include <cstddef>
#include <filesystem>

#include "coordinator/plan/rank_options.h"

namespace lockstep {

/// Bytes that this process and its neighbours may use: the machine's memory, or less where a control
/// group (of a Slurm job, of a container) limits it. `root` is where /proc and /sys are.
std::size_t machine_memory(const std::filesystem::path& root = "/");

/// Gives recompute = auto without a budget a rank's share of that (overcommit.h: rank_share()). The
/// least of all ranks of `world`, so that all make the same plan. What needs more gets the plan that needs the
/// least; check_overcommit() judges it. Collective.
void limit_to_machine(RankOptions& options, const Communicator& world);
/// The same where it is known how many ranks share this machine.
void limit_to_machine(RankOptions& options, int ranks_on_machine);

}  // namespace lockstep
