#include "worker/comm/two_level_sum.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace lockstep {
namespace {

using Counter = std::atomic<std::uint64_t>;
constexpr std::size_t kCopiedAtOnce = 1 << 20;  // bytes, of a call of progress()

}  // namespace

/// Of a rank. Both hold the number of a sum.
struct TwoLevelSum::Window {
  alignas(64) Counter total;   // a node's first rank: the last whose total lies in its memory
  alignas(64) Counter copied;  // the last that this rank has copied
};

std::optional<TwoLevelSum> TwoLevelSum::make(Communicator::State& group, std::size_t values,
                                             const AllReduceOptions& options,
                                             const SharedMemory& memory) {
  if (group.nodes == 1 || group.nodes == group.size) return std::nullopt;
  SharedMemory window(group, sizeof(Window), "flags of two-level sums");
  SharedMemory inside(group, DirectSum::window_bytes(), "flags of sums");
  const bool alone = group.node_size == 1;
  if (!true_on_all(group.comm, alone || (memory.shared() && window.shared() && inside.shared()),
                   "two-level sums"))
    return std::nullopt;
  std::optional<DirectSum> sum;
  if (!alone) sum.emplace(std::move(inside), memory, group.node_rank, group.node_size);
  return TwoLevelSum(std::move(window), std::move(sum), memory, group, values, options);
}

TwoLevelSum::TwoLevelSum(SharedMemory window, std::optional<DirectSum> inside,
                         const SharedMemory& memory, const Communicator::State& group,
                         std::size_t values, const AllReduceOptions& options)
    : window_(std::move(window)),
      inside_(std::move(inside)),
      memory_(&memory),
      node_rank_(group.node_rank),
      node_size_(group.node_size) {
  if (node_rank_ == 0)
    among_ = make_message_sum(group.first_ranks, values, SumMethod::kRing, options);
}

TwoLevelSum::Window& TwoLevelSum::window(int rank) const {
  return *reinterpret_cast<Window*>(window_.of(rank));
}

void TwoLevelSum::start(std::span<float> values, int tag, std::string_view name) {
  values_ = values;
  tag_ = tag;
  name_ = collective_name(name);
  ++number_;
  copied_ = 0;
  phase_ = Phase::kInside;
  if (inside_)
    inside_->start(values, name);
  else
    among_nodes();
}

void TwoLevelSum::among_nodes() {
  if (among_) among_->start(values_, tag_, name_.data());
  phase_ = among_ ? Phase::kAmong : Phase::kCopy;
}

bool TwoLevelSum::progress() {
  if (phase_ == Phase::kInside) {
    if (!inside_->progress()) return false;
    among_nodes();
  }
  if (phase_ == Phase::kAmong) {
    if (!among_->progress()) return false;
    window(0).total.store(number_, std::memory_order_release);
    phase_ = Phase::kCopy;
  }
  if (phase_ == Phase::kCopy && (among_ ? copied_by_all() : copy())) phase_ = Phase::kDone;
  return phase_ == Phase::kDone;
}

bool TwoLevelSum::copied_by_all() const {
  for (int r = 1; r < node_size_; ++r)
    if (window(r).copied.load(std::memory_order_acquire) < number_) return false;
  return true;
}

bool TwoLevelSum::copy() {
  if (window(0).total.load(std::memory_order_acquire) < number_) return false;
  const std::ptrdiff_t begin = reinterpret_cast<std::byte*>(values_.data()) - memory_->data();
  const std::size_t place = static_cast<std::size_t>(begin) + copied_;
  const std::size_t bytes = std::min(kCopiedAtOnce, values_.size_bytes() - copied_);
  std::copy_n(memory_->of(0) + place, bytes, memory_->data() + place);
  copied_ += bytes;
  if (copied_ < values_.size_bytes()) return false;
  window(node_rank_).copied.store(number_, std::memory_order_release);
  return true;
}

void TwoLevelSum::abandon() {
  if (among_) among_->abandon();
}

}  // namespace lockstep
