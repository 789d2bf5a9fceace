#include "worker/comm/node_slots.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "worker/comm/add.h"

namespace lockstep {
namespace {

constexpr std::size_t kLineBytes = 56;   // of values, beside the flag
constexpr std::size_t kLinesUpTo = 256;  // bytes of a sum
constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kLines = (kLinesUpTo + kLineBytes - 1) / kLineBytes;
constexpr std::size_t kBlocks = NodeSlots::kMaxBytes / kBlockBytes;
constexpr std::size_t kOwnUpTo = 1024;  // bytes of the next sum whose lines are asked for
constexpr std::size_t kStreamFrom =
    8192;                       // smaller ones are read sooner out of a neighbour's cache
constexpr int kBytesBits = 20;  // of a flag, below the number
static_assert(NodeSlots::kMaxBytes < std::size_t{1} << kBytesBits);

using Flag = std::atomic<std::uint64_t>;
static_assert(Flag::is_always_lock_free);  // or it would not work between processes

template <typename T>
void add(T* __restrict sums, const T* __restrict a, const T* __restrict b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sums[i] = a[i] + b[i];
}

template <typename T>
void add_to_sums(T* __restrict sums, const T* __restrict values, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sums[i] = sums[i] + values[i];
}

template <typename T>
void copy(T* __restrict to, const T* __restrict from, std::size_t count) {
  std::memcpy(to, from, count * sizeof(T));
}

// Asks for lines to write to: they come from the caches of those that read them last.
void own_lines(const void* begin, std::size_t bytes) {
#if defined(__x86_64__)
  const auto* line = static_cast<const std::byte*>(begin);
  for (std::size_t i = 0; i < bytes; i += 64) asm volatile("prefetchw %0" : : "m"(line[i]));
#else
  for (std::size_t i = 0; i < bytes; i += 64)
    __builtin_prefetch(static_cast<const std::byte*>(begin) + i, 1);
#endif
}

}  // namespace

struct alignas(64) NodeSlots::Line {
  std::array<std::byte, kLineBytes> values;
  Flag flag;
};

struct NodeSlots::Slot {
  struct alignas(64) BlockFlag {
    Flag flag;
  };
  std::array<Line, kLines> lines;
  std::array<BlockFlag, kBlocks> block_flags;
  alignas(64) std::array<std::byte, kMaxBytes> values;
};

struct NodeSlots::Window {
  std::array<Slot, 2> slots;  // in zeroed memory; the first sum has the number 1
};

std::size_t NodeSlots::window_bytes() { return sizeof(Window); }

NodeSlots::Slot& NodeSlots::slot(int rank) const {
  return reinterpret_cast<Window*>(window_.of(rank))->slots[number_ % 2];
}

NodeSlots::Slot& NodeSlots::next_slot() const {
  return reinterpret_cast<Window*>(window_.of(rank_))->slots[(number_ + 1) % 2];
}

template <typename T>
void NodeSlots::give(std::span<const T> values) {
  ++number_;
  flag_ = number_ << kBytesBits | values.size_bytes();
  values.size_bytes() <= kLinesUpTo ? give_lines(values) : give_blocks(values);
}

template <typename T>
void NodeSlots::give_lines(std::span<const T> values) {
  constexpr std::size_t kCount = kLineBytes / sizeof(T);
  Line* line = slot(rank_).lines.data();
  const T* from = values.data();
  const T* end = from + values.size();
  for (; from + kCount <= end; from += kCount, ++line) {
    std::memcpy(line->values.data(), from, kLineBytes);
    line->flag.store(flag_, std::memory_order_release);
  }
  if (from == end) return;
  std::memcpy(line->values.data(), from, static_cast<std::size_t>(end - from) * sizeof(T));
  line->flag.store(flag_, std::memory_order_release);
}

template <typename T>
void NodeSlots::give_blocks(std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  Slot& own = slot(rank_);
  for (std::size_t begin = 0, b = 0; begin < bytes.size(); begin += kBlockBytes, ++b) {
    const auto from = bytes.subspan(begin, std::min(kBlockBytes, bytes.size() - begin));
    if (bytes.size() >= kStreamFrom) {
      stream(own.values.data() + begin, from.data(), from.size());
      flush_stream();
    } else {
      std::memcpy(own.values.data() + begin, from.data(), from.size());
    }
    own.block_flags[b].flag.store(flag_, std::memory_order_release);
  }
}

template <typename T>
void NodeSlots::sum(std::span<T> values, PeerWait& wait) {
  const bool lines = values.size_bytes() <= kLinesUpTo;
  lines ? sum_lines(values, wait) : sum_blocks(values, wait);
  // The next sum is often as large. All have given this sum's values: they are done with the last.
  Slot& next = next_slot();
  const std::size_t bytes = std::min(values.size_bytes(), kOwnUpTo);
  if (lines) {
    own_lines(next.lines.data(), (bytes + kLineBytes - 1) / kLineBytes * 64);
  } else {
    own_lines(next.block_flags.data(), (bytes + kBlockBytes - 1) / kBlockBytes * 64);
    own_lines(next.values.data(), bytes);
  }
}

// A whole line always, whatever lies beyond the values: the same instructions on all ranks.
template <typename T>
void NodeSlots::sum_lines(std::span<T> values, PeerWait& wait) {
  constexpr std::size_t kCount = kLineBytes / sizeof(T);
  const std::size_t whole = values.size() / kCount;
  const auto given_by = [&](int rank, std::size_t l) {
    const Line& line = slot(rank).lines[l];
    await(line.flag, rank, wait);
    return reinterpret_cast<const T*>(line.values.data());
  };
  const auto sum_line = [&](std::size_t l, T* sums) {
    const T* first = given_by(0, l);
    add(sums, first, given_by(1, l), kCount);
    for (int r = 2; r < ranks_; ++r) add_to_sums(sums, given_by(r, l), kCount);
  };
  for (std::size_t l = 0; l < whole; ++l) sum_line(l, values.data() + l * kCount);
  const std::size_t rest = values.size() % kCount;
  if (rest == 0) return;
  std::array<T, kCount> sums;
  sum_line(whole, sums.data());
  copy(values.data() + whole * kCount, sums.data(), rest);
}

template <typename T>
void NodeSlots::sum_blocks(std::span<T> values, PeerWait& wait) {
  constexpr std::size_t kCount = kBlockBytes / sizeof(T);
  for (std::size_t begin = 0, b = 0; begin < values.size(); begin += kCount, ++b) {
    const std::size_t count = std::min(kCount, values.size() - begin);
    const auto given_by = [&](int rank) {
      const Slot& from = slot(rank);
      await(from.block_flags[b].flag, rank, wait);
      return reinterpret_cast<const T*>(from.values.data() + b * kBlockBytes);
    };
    T* sums = values.data() + begin;
    const T* first = given_by(0);
    add(sums, first, given_by(1), count);
    for (int r = 2; r < ranks_; ++r) add_to_sums(sums, given_by(r), count);
  }
}

void NodeSlots::await(const Flag& flag, int rank, PeerWait& wait) const {
  for (;;) {
    const std::uint64_t seen = flag.load(std::memory_order_acquire);
    if (seen == flag_) return;
    if (seen >> kBytesBits == number_) {
      constexpr std::uint64_t kBytes = (std::uint64_t{1} << kBytesBits) - 1;
      throw_sizes_differ(wait.context().name, rank, flag_ & kBytes, seen & kBytes);
    }
    wait.pause();
  }
}

template void NodeSlots::give<float>(std::span<const float>);
template void NodeSlots::give<double>(std::span<const double>);
template void NodeSlots::sum<float>(std::span<float>, PeerWait&);
template void NodeSlots::sum<double>(std::span<double>, PeerWait&);

}  // namespace lockstep
