#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"

namespace lockstep::fuzz {

/// Random numbers of one mutation: a pure function of (seed, stream, number).
class Random {
 public:
  Random(std::uint64_t seed, std::uint32_t stream, std::uint32_t number)
      : seed_(seed), stream_(stream), number_(number) {}

  std::uint64_t bits();
  /// Uniform in [0, n); n > 0.
  std::size_t below(std::size_t n);
  bool chance(std::size_t n) { return below(n) == 0; }  // once in n

 private:
  std::uint64_t seed_;
  std::uint32_t stream_, number_, draw_ = 0;
};

/// What a mutation may know of a format.
struct Vocabulary {
  std::vector<std::string> words;  // put in: keywords, numbers that are too large
  std::vector<std::string> marks;  // signatures: beside them lie lengths, offsets and types
};

/// Changes one or more files of `input`: bits, bytes, lengths and offsets set to extremes, pieces
/// cut off, left out, doubled, or taken from `others`; numbers, words and lines of text.
void mutate(Input& input, std::span<const Input> others, const Vocabulary& vocabulary,
            Random& random);

}  // namespace lockstep::fuzz
