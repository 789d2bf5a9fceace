#include "coordinator/overcommit.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "coordinator/plan/report_text.h"
#include "data/error.h"
#include "data/host.h"

namespace lockstep {

namespace {

double part_used(const MachineUse& use) {
  return static_cast<double>(use.bytes) /
         static_cast<double>(std::max<std::size_t>(use.machine_bytes, 1));
}

}  // namespace

std::size_t usable_memory(std::size_t machine_bytes, int ranks) {
  const std::size_t besides =
      std::max(machine_bytes / 10, kProgramBytes * static_cast<std::size_t>(ranks));
  return machine_bytes - std::min(besides, machine_bytes / 2);
}

std::size_t rank_share(std::size_t machine_bytes, int ranks) {
  const std::size_t share = usable_memory(machine_bytes, ranks) / static_cast<std::size_t>(ranks);
  return std::max<std::size_t>(share >> 20, 1) << 20;
}

std::size_t MachineUse::usable_bytes() const { return usable_memory(machine_bytes, ranks); }

std::size_t MachineUse::share_bytes() const {
  return rank_share(machine_bytes, std::max(ranks, 1));
}

MachineUse fullest_machine(std::span<const RankNeed> needs) {
  std::map<std::uint64_t, MachineUse> machines;
  for (std::size_t r = 0; r < needs.size(); ++r) {
    MachineUse& use = machines[needs[r].machine];
    if (needs[r].bytes > use.heaviest_bytes || use.ranks == 0) {
      use.heaviest = static_cast<int>(r);
      use.heaviest_bytes = needs[r].bytes;
    }
    ++use.ranks;
    use.bytes += needs[r].bytes;
    use.machine_bytes = std::min(use.machine_bytes, needs[r].machine_bytes);
  }
  MachineUse fullest;
  for (const auto& [machine, use] : machines)
    if (fullest.ranks == 0 || part_used(use) > part_used(fullest)) fullest = use;
  return fullest;
}

std::string overcommit_text(const MachineUse& use, const std::string& would_fit) {
  std::string text =
      std::to_string(use.ranks) +
      (use.ranks == 1 ? " rank on a machine needs " : " ranks on one machine need ") +
      in_units(use.bytes);
  if (use.ranks > 1) text += " together, the largest " + in_units(use.heaviest_bytes);
  text += ", but it has " + in_units(use.machine_bytes) +
          " (its memory, or its control group's limit), " + in_units(use.usable_bytes()) +
          " for what is planned";
  if (!would_fit.empty()) text += ": " + would_fit;
  return text +
         ". memory.budget_mib sets a limit of your own instead; memory.on_overcommit = warn goes "
         "on all the same";
}

void check_overcommit(const MemoryDemand& mine, const Communicator& workers,
                      std::size_t machine_bytes, bool stops) {
  const RankNeed need{.machine = host_key(), .bytes = mine.bytes, .machine_bytes = machine_bytes};
  const MachineUse use = fullest_machine(workers.all_gather_value(need, "memory of ranks"));
  if (use.fits()) return;
  std::string would_fit;
  if (workers.rank() == use.heaviest) would_fit = mine.what_would_fit(use.share_bytes());
  workers.broadcast(would_fit, use.heaviest, "what would fit");
  const std::string text = overcommit_text(use, would_fit);
  if (stops) throw ConfigError(text);
  if (workers.rank() == 0) spdlog::warn("{}", text);
}

}  // namespace lockstep
