#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/files.h"

namespace lockstep {

// A packed dataset is one HDF5 file with the samples of one or two splits as they are stored at
// their source (raw pixels, or whole JPEG and PNG files), so that an epoch reads one large file and
// not millions of small ones. For h5py:
//     /info                JSON, bytes: splits, class names, sizes
//     /<split>/encoded     u8 [bytes]       all samples, one after the other
//     /<split>/offsets     u64 [samples+1]  where each begins in `encoded`
//     /<split>/labels      i32 [samples]
//     /<split>/checksums   u64 [samples]    xxh3-64 of each sample's bytes
// Everything but `encoded` is sealed by a hash (packed_seal.h) that is checked before HDF5 opens
// the file; a sample is checked whenever it is read.

/// Called now and then with samples done and samples in all.
using PackProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Writes `splits` (different info().split, the same classes) into the new file `path`. The file
/// appears under its name when it is complete and on the disk. Every sample is read twice.
/// @throws ConfigError if `path` exists or the splits do not go together; DataError if a sample
/// changes between the two readings; IoError.
void pack_dataset(std::span<const Dataset* const> splits, const std::filesystem::path& path,
                  const PackProgress& progress = nullptr);

/// The split `options.split` of the file `options.path`. Reads all but the samples.
/// @throws MissingFileError, DataError naming the file, ConfigError if it has no such split.
std::unique_ptr<Dataset> open_packed(const DatasetOptions& options);

/// Reads and checks the whole file; returns what its splits are.
/// @throws as open_packed, and DataError naming the sample that is damaged.
std::vector<DatasetInfo> verify_packed(const std::filesystem::path& path);

/// One split, read where it lies in the file without HDF5, from any number of threads.
class PackedDataset : public Dataset {
 public:
  struct Tables {
    std::uint64_t begin = 0;               // of `encoded` in the file
    std::vector<std::uint64_t> offsets;    // [samples+1], ascending from 0
    std::vector<std::int32_t> labels;      // [samples], in [0, classes)
    std::vector<std::uint64_t> checksums;  // [samples]
  };

  PackedDataset(DatasetInfo info, OpenFile file, Tables tables);

  int label(std::int64_t index) const override;
  std::vector<std::uint8_t> encoded(std::int64_t index) const override;
  std::uint64_t encoded_bytes(std::int64_t index) const override;
  std::uint64_t checksum(std::int64_t index) const override;
  bool has_checksums() const override { return true; }
  std::string where(std::int64_t index) const override;

 private:
  OpenFile file_;
  Tables tables_;
};

}  // namespace lockstep
