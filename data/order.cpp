#include "data/order.h"

#include <numeric>
#include <utility>

#include "data/random.h"

namespace lockstep {

EpochOrder::EpochOrder(std::int64_t samples, std::uint64_t seed, std::int64_t epoch)
    : samples_(samples), order_(static_cast<std::size_t>(samples)) {
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  const auto number = static_cast<std::uint64_t>(epoch);
  RandomStream random(
      random_key(seed, RandomUse::kOrder),
      {static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(number >> 32), 0});
  for (std::size_t last = order_.size(); last > 1; --last) {
    std::swap(order_[last - 1], order_[random.below(last)]);
  }
}

std::vector<std::int64_t> EpochOrder::samples(std::int64_t begin, std::int64_t end) const {
  std::vector<std::int64_t> part(static_cast<std::size_t>(end - begin));
  for (std::int64_t i = begin; i < end; ++i) part[static_cast<std::size_t>(i - begin)] = sample(i);
  return part;
}

}  // namespace lockstep
