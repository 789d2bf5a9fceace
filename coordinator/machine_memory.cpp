#include "coordinator/machine_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "coordinator/overcommit.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

/// The number in a file; SIZE_MAX if there is none ("max").
std::size_t number_in(const fs::path& file) {
  std::ifstream in(file);
  std::size_t number = SIZE_MAX;
  return in >> number ? number : SIZE_MAX;
}

/// The least of a control group's limit and those of the groups around it.
std::size_t least_limit(const fs::path& mount, fs::path group, const char* file) {
  std::size_t least = SIZE_MAX;
  for (group = group.relative_path();; group = group.parent_path()) {
    least = std::min(least, number_in(mount / group / file));
    if (group.empty()) return least;
  }
}

std::size_t control_group_limit(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  std::size_t least = SIZE_MAX;
  std::ifstream lines(root /
                      "proc/self/cgroup");  // "ID:CONTROLLERS:PATH"; version 2 has no controllers
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = line.substr(second + 1);
    if (controllers == ",,")
      least = std::min(least, least_limit(mount, group, "memory.max"));
    else if (controllers.find(",memory,") != controllers.npos)
      least = std::min(least, least_limit(mount / "memory", group, "memory.limit_in_bytes"));
  }
  return least;
}

bool wants_limit(const RankOptions& options) {
  return options.memory.recompute.kind == RecomputeKind::kAuto && options.memory.budget_bytes == 0;
}

void set_share(RankOptions& options, std::size_t bytes) {
  options.memory.budget_bytes = bytes;
  options.memory.of_machine = true;
  options.memory.must_fit = false;  // ranks of a machine are judged together
}

}  // namespace

std::size_t machine_memory(const fs::path& root) {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  const std::size_t physical =
      pages > 0 && page > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page)
                            : SIZE_MAX;
  return std::min(physical, control_group_limit(root));
}

void limit_to_machine(RankOptions& options, int ranks_on_machine) {
  if (wants_limit(options)) set_share(options, rank_share(machine_memory(), ranks_on_machine));
}

void limit_to_machine(RankOptions& options, const Communicator& world) {
  if (!wants_limit(options)) return;
  const auto share = static_cast<std::int64_t>(rank_share(machine_memory(), world.node_size()));
  set_share(options,
            static_cast<std::size_t>(world.all_reduce(share, ReduceOp::kMin, "memory of a rank")));
}

}  // namespace lockstep
