#include "worker/comm/staged_sum.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <string>

#include "data/error.h"
#include "worker/comm/add.h"

namespace lockstep {
namespace {

constexpr std::size_t kSlots = 2;
constexpr std::size_t kSlotBytes = 256 << 10;
constexpr std::size_t kMinPartBytes = 8 << 10;
constexpr std::size_t kLine = 64;

std::size_t max_part_bytes(int ranks) {
  const std::size_t part = kSlotBytes / static_cast<std::size_t>(ranks) / kLine * kLine;
  return std::max(part, kLine);
}

// Four chunks at least, where that does not make them small: giving overlaps summing.
std::size_t part_bytes_of(std::size_t bytes, int ranks) {
  const std::size_t fourth = bytes / static_cast<std::size_t>(ranks) / 4 + 1;
  const std::size_t wanted = std::min(std::max(fourth, kMinPartBytes), max_part_bytes(ranks));
  return (wanted + kLine - 1) / kLine * kLine;
}

}  // namespace

struct StagedSum::Window {
  alignas(kLine) std::atomic<std::uint64_t> given;
  std::uint64_t bytes;  // of the sum under way
  alignas(kLine) std::atomic<std::uint64_t> summed;
  alignas(kLine) std::byte slots[1];  // P parts each; one's own has the sums
};

std::size_t StagedSum::window_bytes(int ranks) {
  return sizeof(Window) + kSlots * static_cast<std::size_t>(ranks) * max_part_bytes(ranks);
}

StagedSum::Window& StagedSum::window(int rank) const {
  return *reinterpret_cast<Window*>(window_.of(rank));
}

std::byte* StagedSum::slot(int rank, std::uint64_t chunk) const {
  return window(rank).slots +
         chunk % kSlots * static_cast<std::size_t>(ranks_) * max_part_bytes(ranks_);
}

std::span<std::byte> StagedSum::part(std::uint64_t chunk, int rank) const {
  const std::size_t number =
      static_cast<std::size_t>(chunk - first_) * static_cast<std::size_t>(ranks_) +
      static_cast<std::size_t>(rank);
  const std::size_t begin = std::min(number * part_bytes_, values_.size());
  return values_.subspan(begin, std::min(part_bytes_, values_.size() - begin));
}

template <typename T>
void StagedSum::start(std::span<T> values, std::string_view name) {
  values_ = std::as_writable_bytes(values);
  name_ = collective_name(name);
  doubles_ = sizeof(T) == sizeof(double);
  part_bytes_ = part_bytes_of(values_.size(), ranks_);
  const std::size_t chunk = part_bytes_ * static_cast<std::size_t>(ranks_);
  first_ = given_ = summed_ = fetched_ = end_;
  end_ = first_ + (values_.size() + chunk - 1) / chunk;
  window(rank_).bytes = values_.size();
}

bool StagedSum::progress() {
  for (int actions = 0; actions < 3 && fetched_ < end_; ++actions) {
    if (fetched_ < summed_ && all_at_least(fetched_ + 1, true)) {
      fetch();
    } else if (summed_ < given_ && all_at_least(summed_ + 1, false)) {
      if (summed_ == first_) check_sizes();
      sum();
    } else if (given_ < end_ && given_ < fetched_ + kSlots) {
      give();
    } else {
      return false;
    }
  }
  return fetched_ == end_;
}

bool StagedSum::all_at_least(std::uint64_t count, bool summed) const {
  for (int r = 0; r < ranks_; ++r) {
    const Window& w = window(r);
    if ((summed ? w.summed : w.given).load(std::memory_order_acquire) < count) return false;
  }
  return true;
}

void StagedSum::give() {
  std::byte* to = slot(rank_, given_);
  for (int r = 0; r < ranks_; ++r, to += max_part_bytes(ranks_)) {
    const std::span<const std::byte> from = part(given_, r);
    if (r != rank_ && !from.empty()) stream(to, from.data(), from.size());
  }
  flush_stream();
  window(rank_).given.store(++given_, std::memory_order_release);
}

void StagedSum::sum() {
  const std::span<std::byte> own = part(summed_, rank_);
  const std::size_t offset = static_cast<std::size_t>(rank_) * max_part_bytes(ranks_);
  for (int r = 0; r < ranks_; ++r) {
    from_[static_cast<std::size_t>(r)] = r == rank_ ? own.data() : slot(r, summed_) + offset;
  }
  const std::array<std::byte*, 1> to = {own.data()};
  std::byte* shown = slot(rank_, summed_) + offset;
  doubles_ ? add_in_order<double>(from_, to, own.size(), shown)
           : add_in_order<float>(from_, to, own.size(), shown);
  flush_stream();
  window(rank_).summed.store(++summed_, std::memory_order_release);
}

void StagedSum::fetch() {
  for (int r = 0; r < ranks_; ++r) {
    const std::span<std::byte> to = part(fetched_, r);
    if (r == rank_ || to.empty()) continue;
    const std::byte* from =
        slot(r, fetched_) + static_cast<std::size_t>(r) * max_part_bytes(ranks_);
    std::memcpy(to.data(), from, to.size());
  }
  ++fetched_;
}

void StagedSum::check_sizes() const {
  for (int r = 0; r < ranks_; ++r) {
    if (window(r).bytes == values_.size()) continue;
    throw_sizes_differ(name_.data(), r, values_.size(), window(r).bytes);
  }
}

template void StagedSum::start<float>(std::span<float>, std::string_view);
template void StagedSum::start<double>(std::span<double>, std::string_view);

}  // namespace lockstep
