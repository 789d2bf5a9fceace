#pragma once
// Adding what several ranks gave. For worker/comm only.
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "data/error.h"

namespace lockstep {

/// Copies past the caches, for another core to read: from memory it reads faster than out of the
/// cache of a core that is not its neighbour. Both on 16 bytes; call flush_stream() before the
/// flag.
inline void stream(std::byte* to, const std::byte* from, std::size_t bytes) {
#if defined(__SSE2__)
  std::size_t i = 0;
  for (; i + 64 <= bytes; i += 64) {
    for (std::size_t j = 0; j < 64; j += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i + j),
                       _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i + j)));
    }
  }
  std::memcpy(to + i, from + i, bytes - i);
#else
  std::memcpy(to, from, bytes);
#endif
}
inline void flush_stream() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

/// Writes the sums of `from` (by rank) to all of `to`, which may be some of `from`. The order of
/// sums is that of the ranks. A block is added in the first cache, then copied.
template <typename T>
void add_in_order(std::span<const std::byte* const> from, std::span<std::byte* const> to,
                  std::size_t bytes, std::byte* streamed = nullptr) {
  constexpr std::size_t kBlock = 1024;
  const auto at = [](const std::byte* base, std::size_t i) {
    return reinterpret_cast<const T*>(base) + i;
  };
  const std::size_t size = bytes / sizeof(T);
  for (std::size_t begin = 0; begin < size; begin += kBlock) {
    const std::size_t count = std::min(kBlock, size - begin);
    alignas(64) std::array<T, kBlock> sums;
    const T* first = at(from[0], begin);
    const T* second = at(from[1], begin);
    for (std::size_t i = 0; i < count; ++i) sums[i] = first[i] + second[i];
    for (std::size_t r = 2; r < from.size(); ++r) {
      const T* other = at(from[r], begin);
      for (std::size_t i = 0; i < count; ++i) sums[i] = sums[i] + other[i];
    }
    for (std::byte* copy : to) {
      std::memcpy(copy + begin * sizeof(T), sums.data(), count * sizeof(T));
    }
    if (streamed) {
      stream(streamed + begin * sizeof(T), reinterpret_cast<const std::byte*>(sums.data()),
             count * sizeof(T));
    }
  }
}

/// a = b = a + b, a cache line of a and then one of b: where the first cache tells the two apart
/// badly (shared_memory.cpp), access by access would be 2.5 times slower.
inline void add_to_both(float* __restrict a, float* __restrict b, std::size_t size) {
  std::size_t i = 0;
#if defined(__SSE2__)
  for (; i + 16 <= size; i += 16) {
    __m128 sums[4];
    for (std::size_t j = 0; j < 4; ++j) sums[j] = _mm_loadu_ps(a + i + 4 * j);
    for (std::size_t j = 0; j < 4; ++j) sums[j] = _mm_add_ps(sums[j], _mm_loadu_ps(b + i + 4 * j));
    for (std::size_t j = 0; j < 4; ++j) _mm_storeu_ps(a + i + 4 * j, sums[j]);
    for (std::size_t j = 0; j < 4; ++j) _mm_storeu_ps(b + i + 4 * j, sums[j]);
  }
#endif
  for (; i < size; ++i) a[i] = b[i] = a[i] + b[i];
}

/// Writes the sums of `values` (by rank), in the order of ranks, to all of them.
inline void add_everywhere(std::span<std::byte* const> values, std::size_t bytes) {
  if (values.size() > 2) return add_in_order<float>(values, values, bytes);
  add_to_both(reinterpret_cast<float*>(values[0]), reinterpret_cast<float*>(values[1]),
              bytes / sizeof(float));
}

[[noreturn]] inline void throw_sizes_differ(std::string_view name, int rank, std::size_t ours,
                                            std::size_t theirs) {
  throw CommError("all-reduce \"" + std::string(name) + "\", peer rank " + std::to_string(rank) +
                  " of the node: it gives " + std::to_string(theirs) + " bytes, we " +
                  std::to_string(ours) + ": run the same lockstep with the same job on all");
}

}  // namespace lockstep
