// Our all-reduce beside MPI_Allreduce, float, 64 B to 64 MiB. For each size the two take turns,
// each turn is as long as its slowest rank; the table has medians.
//   mpirun -n 2 all_reduce_bench [--short] [--small BYTES] [--segment BYTES] [--window N]
// --short runs a few turns of few sizes: it shows that the program works. Every result is checked.
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator.h"
#include "worker/comm/mpi.h"

namespace {

using namespace lockstep;

struct Options {
  AllReduceOptions ours;
  bool is_short = false;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--short") {
      options.is_short = true;
      continue;
    }
    if (i + 1 == argc)
      throw std::invalid_argument(word + ": unknown option, or its value is missing");
    const std::size_t value = std::stoul(argv[++i]);
    if (word == "--small") {
      options.ours.small_bytes = value;
    } else if (word == "--segment") {
      options.ours.segment_bytes = value;
    } else if (word == "--window") {
      options.ours.window = static_cast<int>(value);
    } else {
      throw std::invalid_argument(word + ": unknown option");
    }
  }
  return options;
}

double median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

// Seconds per call, of the slowest rank.
double one_turn(const Communicator& world, std::vector<float>& values, int calls,
                const AllReduceOptions& options) {
  const auto expected = static_cast<float>(world.size());
  double seconds = 0;
  world.barrier();
  for (int call = 0; call < calls; ++call) {
    std::fill(values.begin(), values.end(), 1.0f);
    const double begin = MPI_Wtime();
    all_reduce_sum<float>(world, values, "bench", options);
    seconds += MPI_Wtime() - begin;
    if (values.front() != expected || values.back() != expected) {
      throw std::runtime_error("the sum is wrong");
    }
  }
  return world.all_reduce(seconds / calls, ReduceOp::kMax, "turn");
}

void bench_size(const Communicator& world, std::size_t bytes, const Options& options) {
  const AllReduceOptions mpi = {.algorithm = AllReduceAlgorithm::kMpi};
  std::vector<float> values(bytes / sizeof(float));
  const int turns = options.is_short ? 3 : 31;
  const std::size_t volume = options.is_short ? 1 << 16 : 4 << 20;  // of a turn
  const int calls = static_cast<int>(std::clamp<std::size_t>(volume / bytes, 1, 200));
  one_turn(world, values, 2, options.ours);
  one_turn(world, values, 2, mpi);
  std::vector<double> our_times, mpi_times;
  for (int turn = 0; turn < turns; ++turn) {
    our_times.push_back(one_turn(world, values, calls, options.ours));
    mpi_times.push_back(one_turn(world, values, calls, mpi));
  }
  if (world.rank() != 0) return;
  const double ours = median(our_times);
  const double theirs = median(mpi_times);
  std::printf("%10zu %12.1f %12.1f %8.2f %10.2f\n", bytes, ours * 1e6, theirs * 1e6, theirs / ours,
              static_cast<double>(bytes) / ours * 1e-9);
  std::fflush(stdout);
}

void run(const Options& options) {
  const Communicator world = Communicator::world();
  if (world.rank() == 0) {
    std::printf("%d ranks, small up to %zu B, segments of %zu B, window %d\n", world.size(),
                options.ours.small_bytes, options.ours.segment_bytes, options.ours.window);
    std::printf("%10s %12s %12s %8s %10s\n", "bytes", "ours us", "MPI us", "MPI/ours", "ours GB/s");
  }
  const std::size_t last = options.is_short ? 1 << 20 : 64 << 20;
  const std::size_t factor = options.is_short ? 64 : 4;
  for (std::size_t bytes = 64; bytes <= last; bytes *= factor) bench_size(world, bytes, options);
}

}  // namespace

int main(int argc, char** argv) {
  const MpiSession session(argc, argv);
  try {
    run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "all_reduce_bench: %s\n", error.what());
    MpiSession::abort(1);
  }
  return 0;
}
