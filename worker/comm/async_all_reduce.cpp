#include <algorithm>
#include <array>
#include <climits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/ring_engine.h"
#include "worker/comm/staged_sum.h"

namespace lockstep {
namespace {

using State = Communicator::State;

std::optional<StagedSum> staged_sum(State& group, const AllReduceOptions& options) {
  if (options.algorithm != AllReduceAlgorithm::kAuto || !group.staged) return std::nullopt;
  SharedMemory window(group, StagedSum::window_bytes(group.size), "gradients");
  if (!window.shared()) return std::nullopt;
  return StagedSum(std::move(window), group.rank, group.size);
}

}  // namespace

struct AsyncAllReduce::Impl {
  Impl(State& group, std::size_t values, const AllReduceOptions& chosen)
      : state(group),
        options(chosen),
        max_values(values),
        staged(staged_sum(group, chosen)),
        scratch(staged ? 0 : ring_scratch_bytes<float>(values, group.size, chosen) / sizeof(float)),
        engine(group.reductions, scratch, ring_segment<float>(chosen, values, group.size),
               ring_window(chosen)) {}

  State& state;
  AllReduceOptions options;
  std::size_t max_values;
  std::optional<StagedSum> staged;  // if the group is one node
  std::vector<float> scratch;       // of the ring
  RingEngine<float> engine;
  MPI_Request request = MPI_REQUEST_NULL;  // of MPI_Iallreduce
  std::array<char, CollectiveRecord::kNameLength> name = {};
  std::uint64_t ticket = 0;
  bool under_way = false;
};

AsyncAllReduce::AsyncAllReduce(const Communicator& group, std::size_t max_values,
                               const AllReduceOptions& options)
    : impl_(std::make_unique<Impl>(group.state(), max_values, options)) {
  if (options.algorithm == AllReduceAlgorithm::kMpi && max_values > INT_MAX) {
    throw InternalError(
        "algorithm = mpi sums at most 2^31 - 1 values at once: use smaller buckets");
  }
}

AsyncAllReduce::AsyncAllReduce(AsyncAllReduce&&) noexcept = default;

AsyncAllReduce& AsyncAllReduce::operator=(AsyncAllReduce&& other) noexcept {
  std::swap(impl_, other.impl_);  // what was under way here is given up by the other's destructor
  return *this;
}

AsyncAllReduce::~AsyncAllReduce() {
  if (!impl_ || !impl_->under_way) return;
  // Left by an error. MPI may still write to the scratch memory, so that is not given back.
  impl_->engine.abandon();
  static_cast<void>(impl_.release());
}

void AsyncAllReduce::start(std::span<float> values, std::uint64_t sequence, std::string_view name) {
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
  const std::size_t length = std::min(name.size(), impl.name.size() - 1);
  std::copy_n(name.data(), length, impl.name.data());
  impl.name[length] = '\0';
  if (impl.options.algorithm == AllReduceAlgorithm::kMpi) {
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()),
                             MPI_FLOAT, MPI_SUM, state.comm, &impl.request),
              "MPI_Iallreduce", {name, -1, static_cast<std::int64_t>(values.size_bytes())});
  } else if (impl.staged) {
    impl.staged->start(values, name);
  } else {
    impl.engine.start(values, static_cast<int>(sequence % kBlockingTag), name);
  }
}

bool AsyncAllReduce::progress() {
  Impl& impl = *impl_;
  if (!impl.under_way) return true;
  int done = 0;
  if (impl.options.algorithm == AllReduceAlgorithm::kMpi) {
    check_mpi(MPI_Test(&impl.request, &done, MPI_STATUS_IGNORE), "MPI_Iallreduce");
  } else if (impl.staged) {
    done = impl.staged->progress();
  } else {
    done = impl.engine.progress();
  }
  if (!done) return false;
  impl.state.log->end(impl.ticket);
  impl.under_way = false;
  return true;
}

void AsyncAllReduce::finish() {
  PeerWait wait(impl_->state.reductions, {impl_->name.data()});
  while (!progress()) wait.pause();
}

bool AsyncAllReduce::idle() const { return !impl_->under_way; }

}  // namespace lockstep
