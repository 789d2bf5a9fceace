#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "coordinator/plan/memory_budget.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// What one rank will take of its machine.
struct RankNeed {
  std::uint64_t machine = 0;  // equal where ranks share one
  std::size_t bytes = 0;      // planned
  // what this rank sees of it (machine_memory.h); the least counts
  std::size_t machine_bytes = SIZE_MAX;
};

/// What the ranks of one machine will take together.
struct MachineUse {
  int ranks = 0;
  int heaviest = 0;  // the rank that takes the most of them
  std::size_t bytes = 0, heaviest_bytes = 0;
  std::size_t machine_bytes = SIZE_MAX;

  std::size_t usable_bytes() const;
  bool fits() const { return bytes <= usable_bytes(); }
  /// What each of the ranks may take so that they fit, if they share alike.
  std::size_t share_bytes() const;
};

/// What a rank takes besides what is planned: the program itself, MPI, oneDNN's generated code (56 to 62 MiB were seen).
inline constexpr std::size_t kProgramBytes = std::size_t{64} << 20;

/// For what `ranks` ranks have planned: not a tenth of it, which is for the system, and not kProgramBytes a rank if
/// that is more; half of it in any case.
std::size_t usable_memory(std::size_t machine_bytes, int ranks);
/// Of one of `ranks` ranks on a machine, in whole MiB; at least one.
std::size_t rank_share(std::size_t machine_bytes, int ranks);

/// The machine that is fullest, by the part that is used of it; `needs`: by rank. Pure.
MachineUse fullest_machine(std::span<const RankNeed> needs);

/// "2 ranks on one machine need 65.0 GiB together, the largest 32.5 GiB, but it has 23.4 GiB (...), 21.1 GiB for what is
/// planned: WOULD_FIT. memory.budget_mib ..."
std::string overcommit_text(const MachineUse& use, const std::string& would_fit);

/// Holds what this rank and the others will take against their machines, before they take it. `machine_bytes`: what
/// this one's has. Where it does not fit, `stops` decides whether all ranks throw, or rank 0 of `workers` warns.
/// Collective. @throws ConfigError, the same on all ranks, with what would fit.
void check_overcommit(const MemoryDemand& mine, const Communicator& workers,
                      std::size_t machine_bytes, bool stops);

}  // namespace lockstep
