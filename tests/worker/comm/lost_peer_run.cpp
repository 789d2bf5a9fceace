// A rank is killed while the others wait for it in an all-reduce; lost_peer_test.sh looks at how
// they end. Usage: lost_peer_run small|staged|direct|ring|async
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/error.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/mpi.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {
namespace {

constexpr auto kRing = AllReduceAlgorithm::kRing;
constexpr std::size_t kSize = 300'000;

/// The sum that the last rank will not take part in, once it has been made by all.
std::function<void()> make_sum(const std::string& kind, const Communicator& world) {
  if (kind == "small" || kind == "staged" || kind == "ring") {
    const AllReduceOptions options{.algorithm = kind == "ring" ? kRing : AllReduceAlgorithm::kAuto};
    return [&world, options, values = std::vector<float>(kind == "small" ? 10 : kSize)]() mutable {
      all_reduce_sum<float>(world, values, "waited for", options);
    };
  }
  auto memory = std::make_shared<SharedMemory>(world, kSize * sizeof(float), "test");
  const AllReduceOptions options{.algorithm = kind == "async" ? kRing : AllReduceAlgorithm::kAuto};
  auto reduce = std::make_shared<AsyncAllReduce>(world, kSize, options, memory.get());
  return [memory, reduce] {
    reduce->start({reinterpret_cast<float*>(memory->data()), kSize}, 1, "waited for");
    reduce->finish();
  };
}

void run(const std::string& kind) {
  const Communicator world = Communicator::world();
  const auto sum = make_sum(kind, world);
  sum();
  std::printf("rank %d runs as process %d\n", world.rank(), getpid());
  std::fflush(stdout);
  world.barrier();
  if (world.rank() == world.size() - 1) std::raise(SIGKILL);
  sum();
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  try {
    lockstep::MpiSession session(argc, argv);
    lockstep::run(argc > 1 ? argv[1] : "small");
    std::puts("the sum came to an end");
  } catch (const lockstep::CommError& error) {
    std::printf("CommError: %s\n", error.what());
    std::fflush(stdout);
    lockstep::MpiSession::abort(76);
  }
}
