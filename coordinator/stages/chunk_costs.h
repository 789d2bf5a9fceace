#pragma once
#include "coordinator/stages/partition.h"

namespace lockstep {

/// Sums over stretches of blocks, each in O(1) after O(blocks^2) of preparation.
class ChunkCosts {
 public:
  explicit ChunkCosts(const ChainWeights& weights);

  int size() const { return size_; }
  bool may_begin(int block) const { return !joined_[static_cast<std::size_t>(block)]; }
  double seconds(int first, int last) const { return sum(seconds_, first, last); }
  double kept_bytes(int first, int last) const { return sum(kept_, first, last); }
  double state_bytes(int first, int last) const { return sum(state_, first, last); }
  /// Of values made before `first`, once each.
  double received(int first, int last) const {
    return received_[static_cast<std::size_t>(first) * static_cast<std::size_t>(size_) +
                     static_cast<std::size_t>(last)];
  }

 private:
  static double sum(const std::vector<double>& prefix, int first, int last) {
    return prefix[static_cast<std::size_t>(last) + 1] - prefix[static_cast<std::size_t>(first)];
  }
  int size_;
  std::vector<bool> joined_;
  std::vector<double> seconds_, kept_, state_;  // prefix sums
  std::vector<double> received_;                // [first][last]
};

/// Of values made in one stretch and read in a later one, once each; for chains of some 100 blocks.
class SkipBytes {
 public:
  explicit SkipBytes(const ChainWeights& weights);
  /// Made in [a, b), read in [c, d).
  double between(int a, int b, int c, int d) const;

 private:
  double& prefix(int c, int made, int reader);
  double prefix(int c, int made, int reader) const {
    return const_cast<SkipBytes*>(this)->prefix(c, made, reader);
  }
  std::size_t width_;
  std::vector<double> prefix_;  // [c][blocks made before][blocks read before]
};

/// Stretches of blocks as blocks, at most `most` of them; begin[i]: the first block of stretch i.
ChainWeights merge_blocks(const ChainWeights& weights, int most, std::vector<int>& begin);

}  // namespace lockstep
