#include "worker/comm/direct_sum.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "data/error.h"
#include "worker/comm/add.h"

namespace lockstep {
namespace {

using Counter = std::atomic<std::uint64_t>;
static_assert(Counter::is_always_lock_free);  // or it would not work between processes

constexpr std::size_t kLine = 64;
constexpr std::size_t kChunkBytes = 128 << 10;
constexpr int kChunksAtOnce = 2;  // of a call of progress()

constexpr int kChunkBits = 24;  // of a counter, below the number of the sum
constexpr std::uint64_t counter(std::uint64_t number, std::uint64_t chunks) {
  return number << kChunkBits | chunks;
}

}  // namespace

struct DirectSum::Window {
  alignas(kLine) Counter ready;  // number of the last sum for which this rank is ready
  std::array<Place, 2> places;   // of the last sums with an even and an odd number
  alignas(kLine) Counter taken;  // chunks of this rank's part
  alignas(kLine) Counter summed;
};

std::size_t DirectSum::window_bytes() { return sizeof(Window); }

DirectSum::DirectSum(SharedMemory window, const SharedMemory& memory, int rank, int ranks)
    : window_(std::move(window)),
      memory_(&memory),
      rank_(rank),
      ranks_(ranks),
      chunk_(static_cast<std::size_t>(ranks)) {}

DirectSum::Window& DirectSum::window(int rank) const {
  return *reinterpret_cast<Window*>(window_.of(rank));
}

void DirectSum::start(std::span<float> values, std::string_view name) {
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  const auto begin = static_cast<std::size_t>(data - memory_->data());
  if (data < memory_->data() || begin + values.size_bytes() > memory_->bytes() ||
      begin % kLine != 0)
    throw InternalError("all-reduce \"" + std::string(name) +
                        "\": the values do not lie, from a cache line on, in the shared memory");
  place_ = {begin, values.size_bytes()};
  name_ = collective_name(name);
  ++number_;
  begun_ = done_ = false;
  exhausted_ = 0;
  Window& own = window(rank_);
  own.places[number_ % 2] = place_;
  own.taken.store(counter(number_, 0), std::memory_order_relaxed);
  own.summed.store(counter(number_, 0), std::memory_order_relaxed);
  own.ready.store(number_, std::memory_order_release);
}

bool DirectSum::progress() {
  if (done_) return true;
  if (!begun_) {
    if (!all_ready()) return false;
    check_places();
    begun_ = true;
  }
  for (int c = 0; c < kChunksAtOnce && sum_a_chunk(); ++c) {
  }
  done_ = exhausted_ == ranks_ && all_summed();
  return done_;
}

bool DirectSum::all_ready() const {
  for (int r = 0; r < ranks_; ++r) {
    if (window(r).ready.load(std::memory_order_acquire) < number_) return false;
  }
  return true;
}

bool DirectSum::all_summed() const {
  for (int r = 0; r < ranks_; ++r) {
    const std::uint64_t summed = window(r).summed.load(std::memory_order_acquire);
    if (summed < counter(number_, chunks(r))) return false;
  }
  return true;
}

void DirectSum::check_places() const {
  for (int r = 0; r < ranks_; ++r) {
    const Place& other = window(r).places[number_ % 2];
    if (other.size != place_.size) throw_sizes_differ(name_.data(), r, place_.size, other.size);
    if (other == place_) continue;
    throw CommError("all-reduce \"" + std::string(name_.data()) + "\", peer rank " +
                    std::to_string(r) +
                    " of the node: its values lie elsewhere: run the same "
                    "lockstep with the same job on all");
  }
}

DirectSum::Place DirectSum::part(int rank) const {
  const std::size_t lines = (place_.size + kLine - 1) / kLine;
  const auto edge = [&](int r) {
    return std::min(lines * static_cast<std::size_t>(r) / static_cast<std::size_t>(ranks_) * kLine,
                    place_.size);
  };
  return {place_.begin + edge(rank), edge(rank + 1) - edge(rank)};
}

std::uint64_t DirectSum::chunks(int rank) const {
  return (part(rank).size + kChunkBytes - 1) / kChunkBytes;
}

/// The next chunk of a rank's part that nobody has taken.
std::optional<std::uint64_t> DirectSum::take(int rank) {
  Counter& taken = window(rank).taken;
  const std::uint64_t end = counter(number_, chunks(rank));
  std::uint64_t next = taken.load(std::memory_order_relaxed);
  while (next < end) {  // a later sum's counter is larger
    if (taken.compare_exchange_weak(next, next + 1, std::memory_order_relaxed))
      return next - counter(number_, 0);
  }
  return std::nullopt;
}

bool DirectSum::sum_a_chunk() {
  for (; exhausted_ < ranks_; ++exhausted_) {
    const int of = (rank_ + exhausted_) % ranks_;
    const auto chunk = take(of);
    if (!chunk) continue;
    const Place whole = part(of);
    const std::size_t begin = static_cast<std::size_t>(*chunk) * kChunkBytes;
    for (int r = 0; r < ranks_; ++r)
      chunk_[static_cast<std::size_t>(r)] = memory_->of(r) + whole.begin + begin;
    add_everywhere(chunk_, std::min(kChunkBytes, whole.size - begin));
    window(of).summed.fetch_add(1, std::memory_order_acq_rel);
    return true;
  }
  return false;
}

}  // namespace lockstep
