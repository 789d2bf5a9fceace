#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "data/files.h"

namespace lockstep {

// The first kSealBytes of a packed file, which HDF5 leaves alone (its user block): text that says
// which parts of the file are samples, and the hash of all other bytes:
//     lockstep packed dataset\n
//     {"version":2,"bytes":...,"samples":[[begin,bytes],...],"xxh3_128":"..."}
// filled up with blanks, then 32 digits: the hash of the text. So what HDF5 gets to parse is what
// was written, and samples, which have checksums of their own, need not be read to know that.

inline constexpr std::uint64_t kSealBytes = 512;

/// Samples lie at [begin, begin + bytes) of the file.
struct SampleRange {
  std::uint64_t begin = 0;
  std::uint64_t bytes = 0;
};

/// Writes the seal of a file that is otherwise complete.
void write_seal(OpenFile& file, const std::vector<SampleRange>& samples);

/// @throws DataError naming the file: no packed dataset, damaged, cut short.
void check_seal(const OpenFile& file);

}  // namespace lockstep
