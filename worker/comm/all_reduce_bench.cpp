#include "worker/comm/all_reduce_bench.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "data/error.h"
#include "data/timing.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/node_slots.h"

namespace lockstep {

namespace {

/// Buffers of one size, filled with ones; a turn goes on with the next of them.
template <typename T>
class Pool {
 public:
  Pool(std::span<T> memory, std::size_t size, bool hot)
      : memory_(memory), size_(size), buffers_(hot ? 1 : memory.size() / size) {
    std::fill(memory_.begin(), memory_.end(), T(1));
  }

  /// Seconds of a call of sum(buffer), on the slowest rank.
  template <typename Sum>
  double turn(const Communicator& group, int calls, Sum&& sum) {
    double seconds = 0;
    for (int left = calls; left > 0;) {
      const auto batch = std::min<std::size_t>(static_cast<std::size_t>(left), buffers_ - next_);
      group.barrier("bench");
      const double begin = seconds_now();
      for (std::size_t b = 0; b < batch; ++b) sum(buffer(next_ + b));
      seconds += seconds_now() - begin;
      for (std::size_t b = 0; b < batch; ++b) check_and_refill(group, buffer(next_ + b));
      next_ = (next_ + batch) % buffers_;
      left -= static_cast<int>(batch);
    }
    return group.all_reduce(seconds / calls, ReduceOp::kMax, "bench");
  }

 private:
  std::span<T> buffer(std::size_t index) const { return memory_.subspan(index * size_, size_); }

  static void check_and_refill(const Communicator& group, std::span<T> values) {
    const T expected = static_cast<T>(group.size());
    for (T& value : values) {
      if (value != expected)
        throw InternalError("an all-reduce of ones over " + std::to_string(group.size()) +
                            " ranks gave " + std::to_string(value));
      value = T(1);
    }
  }

  std::span<T> memory_;
  std::size_t size_;
  std::size_t buffers_;
  std::size_t next_ = 0;
};

}  // namespace

std::size_t AllReduceBenchOptions::memory_bytes(std::size_t largest) const {
  return hot ? largest : std::max(pool_bytes, 2 * largest);
}

template <typename T>
AllReduceSeconds time_all_reduce(const Communicator& group, std::size_t bytes,
                                 const SharedMemory& memory, const AllReduceBenchOptions& options) {
  const std::size_t size = bytes / sizeof(T);
  Pool<T> pool({reinterpret_cast<T*>(memory.data()), options.memory_bytes(bytes) / sizeof(T)}, size,
               options.hot);
  const bool as_gradients = std::is_same_v<T, float> && bytes > NodeSlots::kMaxBytes;
  AsyncAllReduce reduction(group, as_gradients ? size : 0, options.ours, &memory);
  std::uint64_t sequence = 0;
  const auto ours = [&](std::span<T> values) {
    if constexpr (std::is_same_v<T, float>) {
      if (as_gradients) {
        reduction.start(values, sequence++, "bench");
        return reduction.finish();
      }
    }
    all_reduce_sum<T>(group, values, "bench", options.ours);
  };
  const auto mpi = [&](std::span<T> values) {
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()),
                            sizeof(T) == sizeof(float) ? MPI_FLOAT : MPI_DOUBLE, MPI_SUM,
                            group.state().comm),
              "MPI_Allreduce", {.name = "bench", .bytes = static_cast<std::int64_t>(bytes)});
  };
  const int calls = static_cast<int>(std::clamp<std::size_t>(options.turn_bytes / bytes, 1, 200));
  pool.turn(group, 2, ours);
  pool.turn(group, 2, mpi);
  std::vector<double> our_times, mpi_times;
  for (int turn = 0; turn < options.turns; ++turn) {
    our_times.push_back(pool.turn(group, calls, ours));
    mpi_times.push_back(pool.turn(group, calls, mpi));
  }
  const std::vector<double> ratios = paired_ratios(mpi_times, our_times);
  return {median(our_times), median(mpi_times), median(ratios), median_interval(ratios)};
}

template AllReduceSeconds time_all_reduce<float>(const Communicator&, std::size_t,
                                                 const SharedMemory&, const AllReduceBenchOptions&);
template AllReduceSeconds time_all_reduce<double>(const Communicator&, std::size_t,
                                                  const SharedMemory&,
                                                  const AllReduceBenchOptions&);

}  // namespace lockstep
