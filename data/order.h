#pragma once
#include <cstdint>
#include <vector>

namespace lockstep {

/// The order in which an epoch visits the samples: position -> sample, a permutation that is a pure
/// function of (samples, seed, epoch), with the same bits on every machine. Nothing is stored to
/// resume: any rank, at any time, computes the order again and goes on from a position.
class EpochOrder {
 public:
  /// Shuffled: Fisher-Yates, drawn from Philox keyed by (seed, epoch). 8 bytes a sample.
  EpochOrder(std::int64_t samples, std::uint64_t seed, std::int64_t epoch);

  /// As stored: for validation.
  static EpochOrder identity(std::int64_t samples) { return EpochOrder(samples); }

  std::int64_t size() const { return samples_; }

  /// The sample at `position`, 0 <= position < size().
  std::int64_t sample(std::int64_t position) const {
    return order_.empty() ? position : order_[static_cast<std::size_t>(position)];
  }

  /// The samples at [begin, end), in order: a batch, or a rank's part of one.
  std::vector<std::int64_t> samples(std::int64_t begin, std::int64_t end) const;

 private:
  explicit EpochOrder(std::int64_t samples) : samples_(samples) {}

  std::int64_t samples_;
  std::vector<std::int64_t> order_;  // empty: identity
};

}  // namespace lockstep
