#include "coordinator/rank_cpus.h"

#include <sched.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>

#include "data/host.h"
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

ThreadRequest thread_request(int job) {
  const auto number_in = [](const char* variable) {
    const char* text = std::getenv(variable);
    return text ? std::max(0, std::atoi(text)) : 0;
  };
  return {
      .job = job, .launch = number_in(kThreadsVariable), .openmp = number_in("OMP_NUM_THREADS")};
}

int choose_threads(const ThreadRequest& request, const SharedCpus& shared) {
  if (request.job > 0) return request.job;
  if (request.launch > 0) return request.launch;
  const int share = std::max(1, shared.cpus / shared.ranks);
  return request.openmp > 0 ? std::min(request.openmp, share) : share;
}

std::string threads_not_taken(const ThreadRequest& request, const SharedCpus& shared) {
  const int threads = choose_threads(request, shared);
  if (request.job > 0 || request.launch > 0 || request.openmp <= threads) return "";
  return "OMP_NUM_THREADS = " + std::to_string(request.openmp) + ", but " +
         (shared.ranks == 1 ? "a rank has " : std::to_string(shared.ranks) + " ranks share ") +
         std::to_string(shared.cpus) + (shared.cpus == 1 ? " CPU" : " CPUs") + ": a rank takes " +
         std::to_string(threads) + (threads == 1 ? " thread" : " threads") +
         "; parallel.threads or launch --threads has its way";
}

namespace {

SharedCpus shared_cpus(const Communicator& group) {
  struct Cores {
    std::uint64_t host = 0;
    cpu_set_t mask;
  } mine;
  CPU_ZERO(&mine.mask);
  mine.host = host_key();
  sched_getaffinity(0, sizeof mine.mask, &mine.mask);
  SharedCpus shared{.ranks = 0, .cpus = std::max(1, CPU_COUNT(&mine.mask))};
  for (const Cores& other : group.all_gather_value(mine, "cores"))
    shared.ranks += other.host == mine.host && CPU_EQUAL(&other.mask, &mine.mask);
  return shared;
}

}  // namespace

int lanes_of_rank(int wanted, const Communicator& world) {
  const ThreadRequest request = thread_request(wanted);
  const SharedCpus shared = shared_cpus(world);
  if (world.rank() == 0)
    if (const std::string said = threads_not_taken(request, shared); !said.empty())
      spdlog::warn("{}", said);
  return choose_threads(request, shared);
}

std::string crowding(int threads, const SharedCpus& shared) {
  if (shared.ranks > shared.cpus || threads * shared.ranks <= shared.cpus) return "";
  const int fitting = shared.cpus / shared.ranks;
  return std::to_string(shared.ranks) + (shared.ranks == 1 ? " rank has " : " ranks share ") +
         std::to_string(shared.cpus) + (shared.cpus == 1 ? " CPU" : " CPUs") + " for " +
         std::to_string(threads) +
         " threads each: slow; set parallel.threads = " + std::to_string(fitting) +
         " (or OMP_NUM_THREADS), or give a rank more CPUs: srun --cpus-per-task=" +
         std::to_string(threads) + ", mpirun --map-by slot:PE=" + std::to_string(threads) +
         " --bind-to core, lockstep launch --threads " + std::to_string(threads);
}

void warn_of_crowding(int threads, const Communicator& group) {
  const std::string mine = crowding(threads, shared_cpus(group));
  const std::int64_t rank = mine.empty() ? group.size() : group.rank();
  if (group.all_reduce(rank, ReduceOp::kMin, "crowding") == group.rank()) spdlog::warn("{}", mine);
}

}  // namespace lockstep
