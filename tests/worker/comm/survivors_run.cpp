// Ranks die one after the other while others wait for them, in every way there is to wait; each time the survivors make a
// new world and go on there. Usage: mpirun --with-ft ulfm -n 13 survivors_run
#include <csignal>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "data/error.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/mpi.h"
#include "worker/comm/shared_memory.h"
#include "worker/comm/transfer.h"

namespace lockstep {
namespace {

constexpr std::size_t kSize = 300'000;

/// What a rank of the world waits in for others; its state is destroyed after the revoke, as a training's is.
struct Waits {
  const Communicator& world;
  std::vector<float> values = std::vector<float>(kSize, 1.0f);
  std::vector<std::byte> message = std::vector<std::byte>(1 << 20);
  SharedMemory memory{world, kSize * sizeof(float), "test"};
  AsyncAllReduce direct{world, kSize, {}, &memory};
  AsyncAllReduce ring{world, kSize, {.algorithm = AllReduceAlgorithm::kRing}, &memory};
  AsyncAllReduce mpi{world, kSize, {.algorithm = AllReduceAlgorithm::kMpi}, &memory};
  Transfer transfer{world};
  Communicator half = world.split(world.rank() % 2, 0, "half");

  void run(const std::string& kind) {
    const std::span<float> shared(reinterpret_cast<float*>(memory.data()), kSize);
    const int last = world.size() - 1;
    if (kind == "small") all_reduce_sum<float>(world, std::span(values).first(10), kind);
    if (kind == "staged") all_reduce_sum<float>(world, values, kind);
    if (kind == "doubling")
      all_reduce_sum<float>(world, std::span(values).first(4000), kind,
                            {.algorithm = AllReduceAlgorithm::kRing});
    if (kind == "barrier") world.barrier(kind);
    if (kind == "split") static_cast<void>(world.split(0, 0, kind));
    for (auto [name, sum] : {std::pair{"direct", &direct}, {"ring", &ring}, {"mpi", &mpi}}) {
      if (kind != name) continue;
      sum->start(shared, 1, kind);
      sum->finish();
    }
    if (kind == "transfer" &&
        world.rank() < last) {  // from the one that dies; a large one is under way to it, too
      if (world.rank() == 0) transfer.start_send(message, last, 1, kind);
      world.recv(std::span(message).first(8), last, 2, kind);
    }
    if (kind ==
        "indirect") {  // the last rank is in one half; those of the other wait for its first rank
      if (half.rank() == 0) world.barrier(kind);
      all_reduce_sum<float>(half, values, kind);
    }
  }
};

[[noreturn]] void die() {
  raise(SIGKILL);
  std::abort();
}

void check_sums(const Communicator& world, std::size_t ranks) {
  if (static_cast<std::size_t>(world.size()) != ranks)
    throw InternalError("a world of " + std::to_string(world.size()) + " ranks, not " +
                        std::to_string(ranks));
  std::vector<float> values(kSize);
  std::iota(values.begin(), values.end(), static_cast<float>(world.rank()));
  all_reduce_sum<float>(world, values, "sum of survivors");
  for (std::size_t i = 0; i < kSize; ++i)
    if (values[i] != static_cast<float>(ranks * i + ranks * (ranks - 1) / 2))
      throw InternalError("a wrong sum of survivors at " + std::to_string(i));
}

/// `second`: one more dies when the others are about to make a new world.
Communicator lose_one(Communicator world, const std::string& kind, bool second) {
  std::unique_ptr<Waits> waits(new Waits{world});
  const int last = world.size() - 1;
  try {
    world.barrier("all are ready");
    if (world.rank() == last) die();
    waits->run(kind);
    throw InternalError(kind + " came to an end without rank " + std::to_string(last));
  } catch (const CommError& error) {  // some ways to wait know no better class for it
    if (!dynamic_cast<const RankLostError*>(&error) && !world.has_lost()) throw;
    if (world.rank() == 0) std::printf("%s: %s\n", kind.c_str(), error.what());
    world.revoke();
  }
  waits.reset();
  if (world.agree(world.rank() > 0)) throw InternalError("ranks that do not agree have agreed");
  if (second && world.rank() == 1) die();
  Communicator next = world.survivors();
  if (!next.agree(true)) throw InternalError("survivors that agree have not");
  check_sums(next, static_cast<std::size_t>(last - second));
  return next;
}

void run() {
  if (!ulfm_is_on()) throw ConfigError("run it under mpirun --with-ft ulfm");
  Communicator world = Communicator::world();
  if (world.has_lost()) throw InternalError("a rank is lost before any died");
  const std::vector<std::string> kinds = {"small",    "staged", "direct",   "ring",     "mpi",
                                          "transfer", "split",  "indirect", "doubling", "barrier"};
  for (const std::string& kind : kinds) world = lose_one(std::move(world), kind, kind == "ring");
  std::printf("%d ranks are left\n", world.size());
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  try {
    lockstep::MpiSession session(argc, argv);
    lockstep::run();
  } catch (const std::exception& error) {
    std::printf("error: %s\n", error.what());
    std::fflush(stdout);
    lockstep::MpiSession::abort(1);
  }
}
