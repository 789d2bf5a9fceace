#pragma once
// Ranks where an algorithm wants a power of two. For worker/comm only.
#include <bit>

namespace lockstep {

/// The largest power of two that is at most the number of ranks takes part, each at a place; ranks beyond
/// it are folded: of the first 2 * folded, odd ones give their values to the even one before, and get
/// the result from it.
struct PairedRanks {
  int bits = 0;    // places are 0 to 2^bits - 1
  int folded = 0;  // ranks beyond

  explicit PairedRanks(int ranks)
      : bits(std::bit_width(static_cast<unsigned>(ranks)) - 1), folded(ranks - (1 << bits)) {}

  bool gives(int rank) const { return rank < 2 * folded && rank % 2 == 1; }
  bool takes(int rank) const { return rank < 2 * folded && rank % 2 == 0; }
  int place(int rank) const { return rank < 2 * folded ? rank / 2 : rank - folded; }
  int rank_at(int place) const { return place < folded ? 2 * place : place + folded; }
};

}  // namespace lockstep
