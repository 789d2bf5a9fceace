#include <algorithm>
#include <array>
#include <climits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/direct_sum.h"
#include "worker/comm/message_sum.h"
#include "worker/comm/staged_sum.h"
#include "worker/comm/two_level_sum.h"

namespace lockstep {
namespace {

using State = Communicator::State;

/// One of the algorithms. `start` and `progress` as of AsyncAllReduce.
class Reduction {
 public:
  virtual ~Reduction() = default;
  virtual void start(std::span<float> values, std::uint64_t sequence, std::string_view name) = 0;
  virtual bool progress() = 0;
  virtual void abandon() {}  // gives up what is under way
};

/// DirectSum, StagedSum.
template <typename Sum>
class NodeReduction : public Reduction {
 public:
  explicit NodeReduction(Sum sum) : sum_(std::move(sum)) {}
  void start(std::span<float> values, std::uint64_t, std::string_view name) override {
    sum_.start(values, name);
  }
  bool progress() override { return sum_.progress(); }

 private:
  Sum sum_;
};

class MessageReduction : public Reduction {
 public:
  explicit MessageReduction(std::unique_ptr<MessageSum> sum) : sum_(std::move(sum)) {}
  void start(std::span<float> values, std::uint64_t sequence, std::string_view name) override {
    sum_->start(values, static_cast<int>(sequence % kBlockingTag), name);
  }
  bool progress() override { return sum_->progress(); }
  void abandon() override { sum_->abandon(); }

 private:
  std::unique_ptr<MessageSum> sum_;
};

class TwoLevelReduction : public Reduction {
 public:
  explicit TwoLevelReduction(TwoLevelSum sum) : sum_(std::move(sum)) {}
  void start(std::span<float> values, std::uint64_t sequence, std::string_view name) override {
    sum_.start(values, static_cast<int>(sequence % kBlockingTag), name);
  }
  bool progress() override { return sum_.progress(); }
  void abandon() override { sum_.abandon(); }

 private:
  TwoLevelSum sum_;
};

class MpiReduction : public Reduction {
 public:
  MpiReduction(MPI_Comm comm, std::size_t values) : comm_(comm) {
    if (values > INT_MAX)
      throw InternalError(
          "algorithm = mpi sums at most 2^31 - 1 values at once: use smaller buckets");
  }
  void start(std::span<float> values, std::uint64_t, std::string_view name) override {
    check_mpi(MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()),
                             MPI_FLOAT, MPI_SUM, comm_, &request_),
              "MPI_Iallreduce", {name, -1, static_cast<std::int64_t>(values.size_bytes())});
  }
  bool progress() override {
    int done = 0;
    check_mpi(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), "MPI_Iallreduce");
    return done != 0;
  }
  void abandon() override { give_up(comm_, {&request_, 1}); }

 private:
  MPI_Comm comm_;
  MPI_Request request_ = MPI_REQUEST_NULL;
};

/// nullptr if this group does not lie on one node, or has no room in its shared memory.
std::unique_ptr<Reduction> node_reduction(State& group, const SharedMemory* memory) {
  if (memory && memory->shared() && group.node_size == group.size) {
    SharedMemory window(group, DirectSum::window_bytes(), "flags of sums");
    if (window.shared())
      return std::make_unique<NodeReduction<DirectSum>>(
          DirectSum(std::move(window), *memory, group.rank, group.size));
  }
  if (!group.staged) return nullptr;
  SharedMemory window(group, StagedSum::window_bytes(group.size), "large sums");
  if (!window.shared()) return nullptr;
  return std::make_unique<NodeReduction<StagedSum>>(
      StagedSum(std::move(window), group.rank, group.size));
}

std::unique_ptr<Reduction> make_reduction(State& group, std::size_t values,
                                          const AllReduceOptions& options,
                                          const SharedMemory* memory) {
  if (group.size == 1) return nullptr;
  const bool automatic = options.algorithm == AllReduceAlgorithm::kAuto;
  std::optional<SumMethod> measured;
  if (automatic) measured = options.table.find(SumKind::kGradients, values * sizeof(float));
  if (options.algorithm == AllReduceAlgorithm::kMpi || measured == SumMethod::kMpi)
    return std::make_unique<MpiReduction>(group.comm, values);
  if (automatic && measured.value_or(SumMethod::kShared) == SumMethod::kShared) {
    if (auto reduction = node_reduction(group, memory)) return reduction;
    if (memory)
      if (auto sum = TwoLevelSum::make(group, values, options, *memory))
        return std::make_unique<TwoLevelReduction>(std::move(*sum));
  }
  const SumMethod method = measured == SumMethod::kHalvingDoubling ? *measured : SumMethod::kRing;
  return std::make_unique<MessageReduction>(
      make_message_sum(group.reductions, values, method, options));
}

}  // namespace

struct AsyncAllReduce::Impl {
  State& state;
  std::size_t max_values;
  std::unique_ptr<Reduction> reduction;  // nullptr: one rank
  CollectiveName name = {};
  std::uint64_t ticket = 0;
  bool under_way = false;
};

AsyncAllReduce::AsyncAllReduce(const Communicator& group, std::size_t max_values,
                               const AllReduceOptions& options, const SharedMemory* memory)
    : impl_(new Impl{group.state(), max_values,
                     make_reduction(group.state(), max_values, options, memory)}) {}

AsyncAllReduce::AsyncAllReduce(AsyncAllReduce&&) noexcept = default;

AsyncAllReduce& AsyncAllReduce::operator=(AsyncAllReduce&& other) noexcept {
  std::swap(impl_, other.impl_);  // what was under way here is given up by the other's destructor
  return *this;
}

AsyncAllReduce::~AsyncAllReduce() {
  if (!impl_ || !impl_->under_way) return;
  // Left by an error. MPI may still write to the scratch memory, so that is not given back.
  impl_->reduction->abandon();
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
  impl.name = collective_name(name);
  impl.reduction->start(values, sequence, name);
}

bool AsyncAllReduce::progress() {
  Impl& impl = *impl_;
  if (!impl.under_way) return true;
  if (!impl.reduction->progress()) return false;
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
