#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/files.h"
#include "data/hdf5_format.h"

namespace lockstep::hdf5 {

/// A dataset as it lies in its file: contiguous, row-major, without filters.
struct StoredDataset {
  ElementType type = ElementType::kFloat32;
  std::vector<std::int64_t> dims;  // {}: a scalar
  std::uint64_t offset = 0;        // of its values, in bytes; 0 when there are none
};

/// Reads HDF5 files of the kind that write_dataset makes, without the HDF5 library, which crashes
/// on some files that somebody has tampered with (tests/fuzz/README.md): hashes find damage, not
/// intent. Everything is compared with the file's size before it is believed; what lockstep never
/// writes (other links, types, layouts, filters, values elsewhere) is refused. Work and memory are
/// bounded by the file's size. Safe from many threads.
/// https://docs.hdfgroup.org/archive/support/HDF5/doc1.8/H5.format.html: superblock version 0,
/// groups as B-trees and local heaps, object headers version 1.
class Reader {
 public:
  /// Reads the names and what there is under each. @throws FormatError naming file and place;
  /// MissingFileError, IoError.
  explicit Reader(const std::filesystem::path& path);

  /// By path: "parameters/fc.bias".
  const std::map<std::string, StoredDataset>& datasets() const { return datasets_; }

  /// @throws FormatError if it is not there, or of another type.
  const StoredDataset& find(const std::string& name, ElementType type) const;

  /// All of it; `values` must have its size. @throws FormatError if its dims are not `dims`;
  /// IoError.
  void read(const std::string& name, ElementType type, const std::vector<std::int64_t>& dims,
            std::span<std::byte> values) const;

 private:
  OpenFile file_;
  std::map<std::string, StoredDataset> datasets_;
};

}  // namespace lockstep::hdf5
