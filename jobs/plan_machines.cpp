#include "jobs/plan_machines.h"

#include <spdlog/spdlog.h>

#include <iostream>
#include <vector>

#include "coordinator/machine_memory.h"
#include "coordinator/plan/report_text.h"
#include "coordinator/rank_cpus.h"
#include "coordinator/stages/grid.h"
#include "data/error.h"
#include "jobs/cores.h"

namespace lockstep {
namespace {

/// By rank of the world. A rank that only coordinates has no plan.
std::vector<RankNeed> needs_of_ranks(const Job& job, int ranks, const PlanMachines& machines,
                                     std::span<const std::size_t> stage_bytes) {
  const int first_worker = job.parallel.coordinator == "dedicated" ? 1 : 0;
  std::vector<RankNeed> needs;
  for (int r = 0; r < ranks; ++r)
    needs.push_back({.machine = static_cast<std::uint64_t>(r / machines.ranks),
                     .bytes = 0,
                     .machine_bytes = machines.bytes});
  std::vector<std::uint64_t> machine_of_worker;
  for (int r = first_worker; r < ranks; ++r)
    machine_of_worker.push_back(needs[static_cast<std::size_t>(r)].machine);
  const Grid grid(ranks - first_worker, job.parallel.stages, machine_of_worker);
  for (int w = 0; w < grid.workers(); ++w)
    needs[static_cast<std::size_t>(w + first_worker)].bytes =
        stage_bytes[static_cast<std::size_t>(grid.stage_of(w))];
  return needs;
}

}  // namespace

PlanMachines plan_machines(int ranks, int machines) {
  return {.ranks = machines > 0 ? (ranks + machines - 1) / machines : ranks_of_first_node(ranks),
          .bytes = machine_memory()};
}

MachineUse machine_use(const Job& job, int ranks, const PlanMachines& machines,
                       std::span<const std::size_t> stage_bytes) {
  return fullest_machine(needs_of_ranks(job, ranks, machines, stage_bytes));
}

void warn_of_crowded_machine(int threads, const PlanMachines& machines) {
  const SharedCpus shared{.ranks = machines.ranks, .cpus = usable_cpus()};
  if (shared.ranks > shared.cpus)
    spdlog::warn("{} ranks on a machine of {} CPUs like this one: slow; --nodes N spreads them",
                 shared.ranks, shared.cpus);
  else if (const std::string text = crowding(threads, shared); !text.empty())
    spdlog::warn("on a machine like this one {}", text);
}

std::string machine_use_text(const MachineUse& use) {
  return "  on a machine: " + std::to_string(use.ranks) +
         (use.ranks == 1 ? " rank, " : " ranks, together ") + in_units(use.bytes) +
         "; one like this has " + in_units(use.machine_bytes) + "\n";
}

void judge_memory(const Job& job, const MachineUse& use,
                  const std::function<std::string(std::size_t share_bytes)>& would_fit) {
  if (job.memory.budget_mib > 0 || use.fits()) return;
  const std::string text = overcommit_text(use, would_fit(use.share_bytes())) +
                           "; lockstep plan --nodes N spreads the ranks over N machines";
  std::cout << std::flush;
  if (job.memory.on_overcommit == "stop") throw ConfigError(text);
  std::cerr << "lockstep: warning: " << text << "\n";
}

}  // namespace lockstep
