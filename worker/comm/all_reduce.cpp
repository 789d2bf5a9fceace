#include "worker/comm/all_reduce.h"

#include <algorithm>
#include <array>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "worker/comm/communicator_state.h"
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

// Messages of at most this size are sent without waiting for the receiver to ask for them (Open MPI
// within a node: 4096 with its header). Several of them are faster than one that must wait: between
// 2 ranks 1.1 against 3.4 us for 4 KiB, 4.0 against 5.9 us for 16 KiB.
constexpr std::size_t kPieceBytes = 4000;
constexpr std::size_t kMaxPieces = 32;

// One all-reduce by recursive doubling: who am I, and what do I exchange with whom.
template <typename T>
class RecursiveDoubling {
 public:
  RecursiveDoubling(const State& state, std::span<T> values, std::span<T> other,
                    std::string_view name)
      : state_(state), values_(values), other_(other), name_(name) {
    const std::size_t count =
        std::clamp<std::size_t>(values.size_bytes() / kPieceBytes + 1, 1, kMaxPieces);
    piece_values_ = (values.size() + count - 1) / count;
    while (2 * power_ <= state.size) power_ *= 2;
    folded_ = state.size - power_;
  }

  void run() {
    const int rank = state_.rank;
    if (rank < 2 * folded_ && rank % 2 == 1) {  // an even rank adds for me
      exchange(rank - 1, values_, {});
      exchange(rank - 1, {}, values_);
      return;
    }
    if (rank < 2 * folded_) {
      exchange(rank + 1, {}, other_);
      add_upper();
    }
    const int place = rank < 2 * folded_ ? rank / 2 : rank - folded_;
    for (int bit = 1; bit < power_; bit *= 2) {
      const int partner = place ^ bit;
      exchange(rank_at(partner), values_, other_);
      partner > place ? add_upper() : add_lower();
    }
    if (rank < 2 * folded_) exchange(rank + 1, values_, {});
  }

 private:
  int rank_at(int place) const { return place < folded_ ? 2 * place : place + folded_; }

  // Operands in the order of ranks on both sides: NaNs too come out the same.
  void add_upper() {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = values_[i] + other_[i];
  }
  void add_lower() {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = other_[i] + values_[i];
  }

  // Sends and receives, in pieces that MPI sends without asking first; an empty side is left out.
  void exchange(int peer, std::span<const T> out, std::span<T> in) {
    const CallContext context = {name_, peer, static_cast<std::int64_t>(values_.size_bytes())};
    std::array<MPI_Request, kMaxPieces> receives, sends;
    for (std::size_t i = 0; i < pieces(in.size()); ++i) {
      const std::span<T> piece = piece_of(in, i);
      check_mpi(MPI_Irecv(piece.data(), static_cast<int>(piece.size()), mpi_type<T>(), peer,
                          kBlockingTag, state_.reductions, &receives[i]),
                "MPI_Irecv", context);
    }
    for (std::size_t i = 0; i < pieces(out.size()); ++i) {
      const std::span<const T> piece = piece_of(out, i);
      check_mpi(MPI_Isend(piece.data(), static_cast<int>(piece.size()), mpi_type<T>(), peer,
                          kBlockingTag, state_.reductions, &sends[i]),
                "MPI_Isend", context);
    }
    for (std::size_t i = 0; i < pieces(in.size()); ++i) {
      receive(receives[i], piece_of(in, i), context);
    }
    for (std::size_t i = 0; i < pieces(out.size()); ++i) {
      wait_for(state_, sends[i], "MPI_Isend", context);
    }
  }

  void receive(MPI_Request& request, std::span<T> piece, const CallContext& context) {
    MPI_Status status;
    wait_for(state_, request, "MPI_Irecv", context, &status);
    int count = 0;
    check_mpi(MPI_Get_count(&status, mpi_type<T>(), &count), "MPI_Get_count", context);
    if (count != static_cast<int>(piece.size())) {
      check_mpi(MPI_ERR_TRUNCATE, "MPI_Irecv (the message is shorter)", context);
    }
  }

  std::size_t pieces(std::size_t size) const {
    return size <= piece_values_ ? (size > 0) : (size + piece_values_ - 1) / piece_values_;
  }
  template <typename U>
  std::span<U> piece_of(std::span<U> all, std::size_t i) const {
    const std::size_t begin = i * piece_values_;
    return all.subspan(begin, std::min(piece_values_, all.size() - begin));
  }

  const State& state_;
  std::span<T> values_;
  std::span<T> other_;
  std::string_view name_;
  std::size_t piece_values_;
  int power_ = 1;   // largest power of 2 that is at most the number of ranks
  int folded_ = 0;  // ranks beyond it
};

template <typename T>
void ring(State& state, std::span<T> values, std::string_view name,
          const AllReduceOptions& options) {
  const int window = clamp_window(options.window);
  const std::size_t segment = segment_values<T>(options, values.size(), state.size);
  const auto scratch = scratch_of<T>(state, segment * static_cast<std::size_t>(window));
  RingEngine<T> engine(state, scratch, segment, window);
  engine.start(values, kBlockingTag, name);
  Backoff backoff(state.crowded);
  while (!engine.progress()) backoff.pause();
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
  if (options.algorithm == AllReduceAlgorithm::kMpi) {
    mpi_all_reduce(state, values, name);
  } else if (values.size_bytes() <= options.small_bytes && values.size() <= INT_MAX) {
    RecursiveDoubling<T>(state, values, scratch_of<T>(state, values.size()), name).run();
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
        engine(group, scratch, segment, window) {}

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
