// hang_run MODE DIRECTORY: ranks under a watchdog with short deadlines, of which rank 1 goes wrong.
#include <signal.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <thread>

#include "coordinator/health/watchdog.h"
#include "worker/comm/communicator.h"
#include "worker/comm/mpi.h"

using namespace lockstep;

namespace {

void sleep_s(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

void go_wrong(const std::string& mode, const Communicator& world) {
  if (mode == "stop") raise(SIGSTOP);
  if (mode == "skip") sleep_s(1000);
  if (mode == "late") sleep_s(0.7);
  if (mode == "differ") {  // a message that nobody sends
    std::byte byte{};
    world.recv(std::span(&byte, 1), 2, 5, "another way");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const std::string mode = argv[1];
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  if (!rank || !size) return 64;
  // A late rank must be far within the deadline even on a busy machine.
  const double most = mode == "late" ? 60 : 2;
  Watchdog watchdog(
      {.step_s = mode == "skip" ? 100 : most, .collective_s = mode == "skip" ? most : 0},
      {.run_directory = argv[2],
       .start = name_of_start(),
       .rank = std::atoi(rank),
       .ranks = std::atoi(size)});
  MpiSession mpi;
  const Communicator world = Communicator::world();
  const Watchdog::Listening listening(watchdog, world.log());
  for (int step = 0; step < 10; ++step) {
    watchdog.enter(Activity::kStep, step);
    if (step == 7 && world.rank() == 1) go_wrong(mode, world);
    world.all_reduce(1.0, ReduceOp::kSum, "sum of step " + std::to_string(step));
  }
  std::puts("all steps done");
  return 0;
}
