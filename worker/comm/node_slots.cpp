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
  Slot& own = slot(rank_);
  const bool streams = values.size_bytes() >= kStreamFrom;
  const auto put = [&](std::byte* to, std::size_t begin, std::size_t count, Flag& flag) {
    if (streams) {
      stream(to, reinterpret_cast<const std::byte*>(values.data() + begin), count * sizeof(T));
      flush_stream();
    } else {
      std::memcpy(to, values.data() + begin, count * sizeof(T));
    }
    flag.store(flag_, std::memory_order_release);
  };
  const auto put_units = [&](auto unit, auto&& unit_at, auto&& flag_at) {
    constexpr std::size_t kCount = decltype(unit)::value / sizeof(T);
    const std::size_t whole = values.size() / kCount;
    for (std::size_t u = 0; u < whole; ++u) put(unit_at(u), u * kCount, kCount, flag_at(u));
    const std::size_t rest = values.size() % kCount;
    if (rest > 0) put(unit_at(whole), whole * kCount, rest, flag_at(whole));
  };
  if (values.size_bytes() <= kLinesUpTo) {
    put_units(
        std::integral_constant<std::size_t, kLineBytes>(),
        [&](std::size_t l) { return own.lines[l].values.data(); },
        [&](std::size_t l) -> Flag& { return own.lines[l].flag; });
  } else {
    put_units(
        std::integral_constant<std::size_t, kBlockBytes>(),
        [&](std::size_t b) { return own.values.data() + b * kBlockBytes; },
        [&](std::size_t b) -> Flag& { return own.block_flags[b].flag; });
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
  std::array<T, kCount> sums;
  const auto sum_line = [&](std::size_t l) {
    for (int r = 0; r < ranks_; ++r) {
      const Line& line = slot(r).lines[l];
      await(line.flag, r, wait);
      const T* other = reinterpret_cast<const T*>(line.values.data());
      r == 0 ? copy(sums.data(), other, kCount) : add_to_sums(sums.data(), other, kCount);
    }
  };
  for (std::size_t l = 0; l < whole; ++l) {
    sum_line(l);
    copy(values.data() + l * kCount, sums.data(), kCount);
  }
  const std::size_t rest = values.size() % kCount;
  if (rest == 0) return;
  sum_line(whole);
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
