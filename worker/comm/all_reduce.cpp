#include "worker/comm/all_reduce.h"

#include <algorithm>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/halving_doubling.h"
#include "worker/comm/message_sum.h"
#include "worker/comm/node_slots.h"
#include "worker/comm/recursive_doubling.h"
#include "worker/comm/ring_engine.h"
#include "worker/comm/staged_sum.h"

namespace lockstep {
namespace {

using State = Communicator::State;

// Scratch memory of blocking all-reduces; it stays with the group.
template <typename T>
std::span<T> scratch_of(State& state, std::size_t values) {
  if (state.scratch.size() < values * sizeof(T)) state.scratch.resize(values * sizeof(T));
  return {reinterpret_cast<T*>(state.scratch.data()), values};
}

/// Of RingEngine, HalvingDoubling.
template <typename Engine, typename T>
void run(Engine engine, const State& state, std::span<T> values, std::string_view name) {
  engine.start(values, kBlockingTag, name);
  Backoff backoff(state.crowded);
  try {
    while (!engine.progress()) backoff.pause();
  } catch (...) {
    engine.abandon();
    throw;
  }
}

template <typename T>
void ring(State& state, std::span<T> values, std::string_view name,
          const AllReduceOptions& options) {
  const int window = ring_window(options);
  const std::size_t segment = ring_segment<T>(options, values.size(), state.size);
  const auto scratch = scratch_of<T>(state, segment * static_cast<std::size_t>(window));
  run(RingEngine<T>(state.reductions, scratch, segment, window), state, values, name);
}

template <typename T>
void halving_doubling(State& state, std::span<T> values, std::string_view name) {
  const std::size_t scratch = HalvingDoubling<T>::scratch_values(values.size(), state.size);
  run(HalvingDoubling<T>(state.reductions, scratch_of<T>(state, scratch)), state, values, name);
}

bool is_small(std::size_t bytes, const AllReduceOptions& options) {
  return bytes <= std::min(options.small_bytes, NodeSlots::kMaxBytes);
}

SumMethod method_of(const State& state, std::size_t bytes, const AllReduceOptions& options) {
  if (options.algorithm == AllReduceAlgorithm::kMpi) return SumMethod::kMpi;
  const bool has_shared =
      is_small(bytes, options) ? state.slots != nullptr : state.staged != nullptr;
  if (options.algorithm == AllReduceAlgorithm::kAuto) {
    const auto measured = options.table.find(SumKind::kSums, bytes);
    if (measured && (*measured != SumMethod::kShared || has_shared)) return *measured;
    if (has_shared) return SumMethod::kShared;
  }
  return bytes <= options.small_bytes ? SumMethod::kRecursiveDoubling : SumMethod::kRing;
}

template <typename T>
void sum_in_slots(State& state, std::span<T> values, std::string_view name) {
  state.slots->give(std::span<const T>(values));
  PeerWait wait(state.reductions, {name, -1, static_cast<std::int64_t>(values.size_bytes())});
  state.slots->sum(values, wait);
}

template <typename T>
void staged(State& state, std::span<T> values, std::string_view name) {
  state.staged->start(values, name);
  PeerWait wait(state.reductions, {name, -1, static_cast<std::int64_t>(values.size_bytes())});
  while (!state.staged->progress()) wait.pause();
}

template <typename T>
void mpi_all_reduce(State& state, std::span<T> values, std::string_view name) {
  constexpr std::size_t kPiece = INT_MAX;
  for (std::size_t begin = 0; begin < values.size(); begin += kPiece) {
    const int count = static_cast<int>(std::min(kPiece, values.size() - begin));
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data() + begin, count, mpi_type<T>(), MPI_SUM,
                            state.comm),
              "MPI_Allreduce", {name, -1, static_cast<std::int64_t>(values.size_bytes())});
  }
}

}  // namespace

template <typename T>
void all_reduce_sum(const Communicator& group, std::span<T> values, std::string_view name,
                    const AllReduceOptions& options) {
  State& state = group.state();
  const auto scope = state.record(CollectiveKind::kAllReduce, values.size_bytes(), name);
  if (state.size == 1 || values.empty()) return;
  switch (method_of(state, values.size_bytes(), options)) {
    case SumMethod::kShared:
      return is_small(values.size_bytes(), options) ? sum_in_slots(state, values, name)
                                                    : staged(state, values, name);
    case SumMethod::kMpi:
      return mpi_all_reduce(state, values, name);
    case SumMethod::kRecursiveDoubling:
      if (values.size() > INT_MAX) return ring(state, values, name, options);
      return RecursiveDoubling<T>(state.reductions, values, scratch_of<T>(state, values.size()),
                                  name)
          .run();
    case SumMethod::kHalvingDoubling:
      return halving_doubling(state, values, name);
    case SumMethod::kRing:
      return ring(state, values, name, options);
  }
}

template void all_reduce_sum<float>(const Communicator&, std::span<float>, std::string_view,
                                    const AllReduceOptions&);
template void all_reduce_sum<double>(const Communicator&, std::span<double>, std::string_view,
                                     const AllReduceOptions&);

AllReduceOptions fitted_to_nodes(AllReduceOptions options, int nodes) {
  constexpr int kWindowBetweenNodes = 4;
  if (nodes > 1) options.window = std::max(options.window, kWindowBetweenNodes);
  return options;
}

std::size_t sum_scratch_bytes(std::size_t doubles, int ranks, const AllReduceOptions& options) {
  if (ranks == 1 || options.algorithm == AllReduceAlgorithm::kMpi) return 0;
  const std::size_t messages =
      doubles * sizeof(double) <= options.small_bytes
          ? doubles * sizeof(double)
          : ring_scratch_values<double>(doubles, ranks, options) * sizeof(double);
  if (options.algorithm == AllReduceAlgorithm::kRing) return messages;
  if (options.table.find(SumKind::kSums, doubles * sizeof(double)) == SumMethod::kHalvingDoubling)
    return sizeof(double) * HalvingDoubling<double>::scratch_values(doubles, ranks);
  return std::max(messages, NodeSlots::window_bytes() + StagedSum::window_bytes(ranks));
}

std::size_t async_scratch_bytes(std::size_t floats, int ranks, const AllReduceOptions& options) {
  if (ranks == 1 || options.algorithm == AllReduceAlgorithm::kMpi) return 0;
  const auto by = [&](SumMethod method, int among) {
    return message_sum_bytes(floats, among, method, options);
  };
  if (options.algorithm == AllReduceAlgorithm::kRing) return by(SumMethod::kRing, ranks);
  if (options.table.find(SumKind::kGradients, floats * sizeof(float)) ==
      SumMethod::kHalvingDoubling)
    return by(SumMethod::kHalvingDoubling, ranks);
  return std::max(by(SumMethod::kRing, 2), StagedSum::window_bytes(ranks));  // as few as two nodes
}

}  // namespace lockstep
