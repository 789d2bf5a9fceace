#include "worker/comm/all_reduce.h"

#include <algorithm>
#include <array>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/node_slots.h"
#include "worker/comm/recursive_doubling.h"
#include "worker/comm/ring_engine.h"

namespace lockstep {
namespace {

using State = Communicator::State;

int clamp_window(int window) { return std::clamp(window, 1, RingEngine<float>::kMaxWindow); }

// Values per segment: no more than a chunk needs, so that small sums take little scratch.
template <typename T>
std::size_t segment_values(const AllReduceOptions& options, std::size_t values, int ranks) {
  const std::size_t chunk = values / static_cast<std::size_t>(ranks) + 1;
  const std::size_t wanted = std::min(options.segment_bytes, std::size_t{1} << 30) / sizeof(T);
  return std::clamp<std::size_t>(wanted, 1, chunk);
}

// Scratch memory of blocking all-reduces; it stays with the group.
template <typename T>
std::span<T> scratch_of(State& state, std::size_t values) {
  if (state.scratch.size() < values * sizeof(T)) state.scratch.resize(values * sizeof(T));
  return {reinterpret_cast<T*>(state.scratch.data()), values};
}

template <typename T>
void ring(State& state, std::span<T> values, std::string_view name,
          const AllReduceOptions& options) {
  const int window = clamp_window(options.window);
  const std::size_t segment = segment_values<T>(options, values.size(), state.size);
  const auto scratch = scratch_of<T>(state, segment * static_cast<std::size_t>(window));
  RingEngine<T> engine(state.reductions, scratch, segment, window);
  engine.start(values, kBlockingTag, name);
  Backoff backoff(state.crowded);
  while (!engine.progress()) backoff.pause();
}

bool sums_in_slots(const State& state, std::size_t bytes, const AllReduceOptions& options) {
  return options.algorithm == AllReduceAlgorithm::kAuto && state.slots && bytes > 0 &&
         state.node_size == state.size &&
         bytes <= std::min(options.small_bytes, NodeSlots::kMaxBytes);
}

template <typename T>
void sum_in_slots(State& state, std::span<T> values, std::string_view name) {
  state.slots->give(std::span<const T>(values));
  PeerWait wait(state.reductions, {name, -1, static_cast<std::int64_t>(values.size_bytes())});
  state.slots->sum(values, wait);
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
  if (sums_in_slots(state, values.size_bytes(), options)) return sum_in_slots(state, values, name);
  if (state.size == 1 || values.empty()) return;
  if (options.algorithm == AllReduceAlgorithm::kMpi) {
    mpi_all_reduce(state, values, name);
  } else if (values.size_bytes() <= options.small_bytes && values.size() <= INT_MAX) {
    RecursiveDoubling<T>(state.reductions, values, scratch_of<T>(state, values.size()), name).run();
  } else {
    ring(state, values, name, options);
  }
}

template void all_reduce_sum<float>(const Communicator&, std::span<float>, std::string_view,
                                    const AllReduceOptions&);
template void all_reduce_sum<double>(const Communicator&, std::span<double>, std::string_view,
                                     const AllReduceOptions&);

std::size_t sum_scratch_bytes(std::size_t doubles, int ranks, const AllReduceOptions& options) {
  if (ranks == 1 || options.algorithm == AllReduceAlgorithm::kMpi) return 0;
  if (doubles * sizeof(double) <= options.small_bytes) return doubles * sizeof(double);
  return segment_values<double>(options, doubles, ranks) *
         static_cast<std::size_t>(clamp_window(options.window)) * sizeof(double);
}

std::size_t ring_scratch_bytes(std::size_t floats, int ranks, const AllReduceOptions& options) {
  if (ranks == 1 || options.algorithm == AllReduceAlgorithm::kMpi) return 0;
  return segment_values<float>(options, floats, ranks) *
         static_cast<std::size_t>(clamp_window(options.window)) * sizeof(float);
}

struct RingAllReduce::Impl {
  Impl(State& group, std::size_t values, const AllReduceOptions& chosen)
      : state(group),
        options(chosen),
        max_values(values),
        window(clamp_window(chosen.window)),
        segment(segment_values<float>(chosen, values, group.size)),
        scratch(ring_scratch_bytes(values, group.size, chosen) / sizeof(float)),
        engine(group.reductions, scratch, segment, window) {}

  State& state;
  AllReduceOptions options;
  std::size_t max_values;
  int window;
  std::size_t segment;
  std::vector<float> scratch;
  RingEngine<float> engine;
  MPI_Request request = MPI_REQUEST_NULL;  // of MPI_Iallreduce
  std::uint64_t ticket = 0;
  bool under_way = false;
};

RingAllReduce::RingAllReduce(const Communicator& group, std::size_t max_values,
                             const AllReduceOptions& options)
    : impl_(std::make_unique<Impl>(group.state(), max_values, options)) {
  if (options.algorithm == AllReduceAlgorithm::kMpi && max_values > INT_MAX) {
    throw InternalError(
        "algorithm = mpi sums at most 2^31 - 1 values at once: use smaller buckets");
  }
}

RingAllReduce::RingAllReduce(RingAllReduce&&) noexcept = default;

RingAllReduce& RingAllReduce::operator=(RingAllReduce&& other) noexcept {
  std::swap(impl_, other.impl_);  // what was under way here is given up by the other's destructor
  return *this;
}

RingAllReduce::~RingAllReduce() {
  if (!impl_ || !impl_->under_way) return;
  // Left by an error. MPI may still write to the scratch memory, so that is not given back.
  impl_->engine.abandon();
  static_cast<void>(impl_.release());
}

void RingAllReduce::start(std::span<float> values, std::uint64_t sequence, std::string_view name) {
  Impl& impl = *impl_;
  if (impl.under_way || values.size() > impl.max_values) {
    throw InternalError("all-reduce \"" + std::string(name) + "\" of " +
                        std::to_string(values.size()) + " values cannot start: " +
                        (impl.under_way ? "the last one is still under way"
                                        : "it was made for " + std::to_string(impl.max_values)));
  }
  State& state = impl.state;
  impl.ticket = state.log->begin(CollectiveKind::kAllReduce, ++state.sequence,
                                 static_cast<std::int64_t>(values.size_bytes()), name, state.name);
  if (state.size == 1 || values.empty()) {
    state.log->end(impl.ticket);
    return;
  }
  impl.under_way = true;
  if (impl.options.algorithm == AllReduceAlgorithm::kMpi) {
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()),
                             MPI_FLOAT, MPI_SUM, state.comm, &impl.request),
              "MPI_Iallreduce", {name, -1, static_cast<std::int64_t>(values.size_bytes())});
  } else {
    impl.engine.start(values, static_cast<int>(sequence % kBlockingTag), name);
  }
}

bool RingAllReduce::progress() {
  Impl& impl = *impl_;
  if (!impl.under_way) return true;
  int done = 0;
  if (impl.options.algorithm == AllReduceAlgorithm::kMpi) {
    check_mpi(MPI_Test(&impl.request, &done, MPI_STATUS_IGNORE), "MPI_Iallreduce");
  } else {
    done = impl.engine.progress();
  }
  if (!done) return false;
  impl.state.log->end(impl.ticket);
  impl.under_way = false;
  return true;
}

void RingAllReduce::finish() {
  Backoff backoff(impl_->state.crowded);
  while (!progress()) backoff.pause();
}

bool RingAllReduce::idle() const { return !impl_->under_way; }

}  // namespace lockstep
