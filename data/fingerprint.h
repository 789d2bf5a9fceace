#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lockstep {

/// What a split of a data set is, so that another one does not pass for it. It depends on the data alone: not on where
/// they lie, the order in which a folder is listed, or ranks and threads. Hashes are xxh3-128 as 32 hex digits; one that
/// does not apply is "". Numbers are hashed as 8 bytes, little-endian.
struct DataFingerprint {
  std::string source;  // of a packed file: what it was made of
  std::int64_t samples = 0;
  int classes = 0;
  std::vector<std::string> class_names;    // empty: not known
  std::vector<std::int64_t> class_counts;  // samples by label; empty where pixels have labels
  // of all samples in their order; "" where pixels have labels: they are content
  std::string labels;
  // of every sample: name relative to the data's folder, a zero byte, size; "": none of their own
  std::string files;
  // (index, xxh3-64 of the bytes as stored) of some samples: of all in their order where there are 256 at most, else of
  // those that xxh3-64(0), xxh3-64(1), ... name, modulo samples; until there are 256, or 64 MiB of them. Synthetic
  // data have none: they follow from the seed.
  std::string content;
  std::int64_t content_samples = 0;
  // the same of all samples, where it costs no reading: in memory, or packed
  std::string all_content;
};

/// Reads up to 64 MiB and a sample, and the sizes of all files, those by eight threads. @throws MissingFileError, IoError,
/// DataError on a file that cannot be read.
DataFingerprint fingerprint_of(const Dataset& dataset);

/// In what two differ, most telling first, a phrase each: "54 samples, before 60". What only one of them knows is not
/// compared, so a data set and the packed file made of it are the same.
std::vector<std::string> differences(const DataFingerprint& before, const DataFingerprint& now);

/// A JSON object, UTF-8.
std::string to_json_text(const DataFingerprint& fingerprint);
/// Nothing if it is none.
std::optional<DataFingerprint> parse_fingerprint(const std::string& json_text);

}  // namespace lockstep
