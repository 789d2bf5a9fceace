#include "jobs/cores.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>

#include "jobs/value_text.h"

namespace lockstep {

int usable_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
  std::set<std::string> cores;  // by the list of their hardware threads
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    std::ifstream in("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                     "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(in, siblings)) siblings = std::to_string(cpu);
    cores.insert(siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

int usable_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof mask, &mask) == 0 ? std::max(1, CPU_COUNT(&mask)) : 1;
}

int nodes_of_allocation() {
  const char* text = std::getenv("SLURM_JOB_NUM_NODES");
  int nodes = 1;
  if (text) read_value(std::string_view(text), nodes);
  return std::max(1, nodes);
}

int ranks_of_first_node(int ranks) {
  const char* text =
      nodes_of_allocation() > 1 ? std::getenv("SLURM_TASKS_PER_NODE") : nullptr;  // 2(x3),1
  const int tasks = text ? std::atoi(text) : 0;
  return tasks > 0 ? std::min(tasks, ranks) : ranks;
}

}  // namespace lockstep
