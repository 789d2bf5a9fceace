#pragma once
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "data/checkpoint.h"

namespace lockstep {

// What manifest.json says, between text and values; inside of data/checkpoint*.cpp.

inline constexpr char kManifestName[] = "manifest.json";
inline constexpr char kIndexName[] = "index.h5";
inline constexpr std::uint64_t kMostManifestBytes = std::uint64_t{1} << 28;

struct TensorRecord {
  std::string name;
  std::string file;
  std::vector<std::int64_t> dims;
  std::string hash;  // xxh3-128 of the values, little-endian
};

struct FileRecord {
  std::string name;  // beside the manifest
  std::uint64_t bytes = 0;
  std::string hash;
};

struct Manifest {
  TrainingState state;
  std::vector<FileRecord> files;  // the index first, since it is small
  std::vector<TensorRecord> tensors;

  std::set<std::string> names_in(const std::string& file) const;
};

/// What one writer wrote.
struct ShardReport {
  FileRecord file;
  std::vector<TensorRecord> tensors;
};

std::string shard_name(int writer);  // "shard-000.h5"

std::string to_text(const ShardReport& report);
/// @throws CheckpointError
ShardReport parse_report(const std::string& text);

/// The last line but one holds the hash of all bytes before it, so that no byte can change
/// unnoticed.
std::string to_text(const Manifest& manifest);
/// @throws CheckpointError starting with `where` (the file).
Manifest parse_manifest(const std::string& text, const std::string& where);

/// @throws CheckpointError: names no HDF5 path of ours, or listed twice; a file not listed; dims
/// that are impossible or more than the file.
void check_records(const std::vector<FileRecord>& files, const std::vector<TensorRecord>& tensors,
                   const std::string& where);

}  // namespace lockstep
