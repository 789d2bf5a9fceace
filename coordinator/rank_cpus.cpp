#include "coordinator/rank_cpus.h"

#include <sched.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>

#include "data/files.h"
#include "layers/cpu/instruction_set.h"

namespace lockstep {

void agree_on_instruction_set(const Communicator& world) {
  const auto own = static_cast<std::int64_t>(cpu::usable_instruction_set());
  const std::int64_t common = world.all_reduce(own, ReduceOp::kMin, "instruction set");
  if (common < own && world.rank() == 0)
    spdlog::warn("some ranks have an older CPU: all use {}",
                 cpu::instruction_set_name(static_cast<std::uint32_t>(common)));
  cpu::use_instruction_set(static_cast<std::uint32_t>(common));
}

int lanes_of_rank(int wanted, int ranks_on_these_cpus) {
  if (wanted > 0) return wanted;
  if (const char* text = std::getenv("OMP_NUM_THREADS"))
    if (const int n = std::atoi(text); n > 0) return n;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
  return std::max(1, CPU_COUNT(&mask) / ranks_on_these_cpus);
}

int lanes_of_rank(int wanted, const Communicator& world) {
  struct Cores {
    std::uint64_t host = 0;
    cpu_set_t mask;
  } mine;
  CPU_ZERO(&mine.mask);
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  mine.host = hash64(std::as_bytes(std::span(name)));
  sched_getaffinity(0, sizeof mine.mask, &mine.mask);
  int sharing = 0;
  for (const Cores& other : world.all_gather_value(mine, "cores"))
    sharing += other.host == mine.host && CPU_EQUAL(&other.mask, &mine.mask);
  return lanes_of_rank(wanted, sharing);
}

}  // namespace lockstep
