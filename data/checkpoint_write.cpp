#include <algorithm>
#include <functional>
#include <future>
#include <numeric>
#include <queue>

#include "data/checkpoint.h"
#include "data/checkpoint_manifest.h"
#include "data/error.h"
#include "data/files.h"
#include "data/hdf5_dataset.h"
#include "data/timing.h"
#include "data/version.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// One file to look into: every tensor under its name, as an external link to the shard beside it.
FileRecord write_index(const fs::path& directory, const TrainingState& state,
                       const std::vector<TensorRecord>& tensors) {
  const fs::path path = directory / kIndexName;
  hdf5::File file = hdf5::create_file(path);
  hdf5::set_attribute(file, "lockstep_version", version());
  hdf5::set_attribute(file, "step", state.step);
  hdf5::set_attribute(file, "epoch", state.epoch);
  hdf5::set_attribute(file, "cursor", state.cursor);
  for (const TensorRecord& tensor : tensors) {
    hdf5::add_external_link(file, tensor.name, tensor.file);
  }
  hdf5::finish_file(file, path.string());
  fsync_file(path);
  const FileHash hash = hash_file(path);
  return {kIndexName, hash.bytes, hash.xxh3_128};
}

/// The shard without its tensors' values. Returns where each belongs.
std::vector<std::uint64_t> write_structure(const fs::path& path,
                                           std::span<const TensorView> tensors) {
  hdf5::File file = hdf5::create_file(path);
  hdf5::set_attribute(file, "lockstep_version", version());
  std::vector<std::uint64_t> offsets;
  for (const TensorView& tensor : tensors) {
    const auto bytes =
        static_cast<std::uint64_t>(hdf5::elements_of(tensor.dims, tensor.name)) * sizeof(float);
    if (bytes != tensor.values.size_bytes()) {
      throw InternalError(tensor.name + ": " + std::to_string(tensor.values.size_bytes()) +
                          " bytes for dims " + hdf5::to_text(tensor.dims));
    }
    offsets.push_back(
        hdf5::reserve_dataset(file, tensor.name, hdf5::ElementType::kFloat32, tensor.dims));
  }
  hdf5::finish_file(file, path.string());
  return offsets;
}

/// Writes and hashes them. HDF5 would take the lock that it shares with others for as long, and
/// need half as long again; the disk begins while the next ones are hashed.
std::vector<TensorRecord> write_values(OpenFile& file, const std::string& name,
                                       std::span<const TensorView> tensors,
                                       std::span<const std::uint64_t> offsets) {
  constexpr std::uint64_t kAtOnce = 8 << 20;
  std::vector<TensorRecord> records;
  std::uint64_t begun = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const auto values = std::as_bytes(tensors[t].values);
    file.write_at(offsets[t], values);
    const std::uint64_t end = offsets[t] + values.size();
    if (end >= begun + kAtOnce) {  // most lie in the order of their offsets
      file.start_writeback(begun, end - begun);
      begun = end;
    }
    records.push_back({tensors[t].name, name, tensors[t].dims, hash128(values)});
  }
  return records;
}

Manifest gather(const fs::path& directory, const TrainingState& state,
                std::span<const std::string> shard_reports) {
  Manifest manifest;
  manifest.state = state;
  for (const std::string& text : shard_reports) {
    ShardReport report = parse_report(text);
    std::error_code error;
    const auto bytes = fs::file_size(directory / report.file.name, error);
    if (error || bytes != report.file.bytes) {
      throw CheckpointError((directory / report.file.name).string() + ": its writer reported " +
                            std::to_string(report.file.bytes) + " bytes, but here " +
                            (error ? error.message() : std::to_string(bytes) + " are seen") +
                            "; do all ranks share this file system?");
    }
    manifest.files.push_back(std::move(report.file));
    std::move(report.tensors.begin(), report.tensors.end(), std::back_inserter(manifest.tensors));
  }
  std::sort(manifest.tensors.begin(), manifest.tensors.end(),
            [](const TensorRecord& a, const TensorRecord& b) { return a.name < b.name; });
  return manifest;
}

}  // namespace

std::vector<int> deal_tensors(std::span<const std::int64_t> bytes, int writers) {
  if (writers <= 0) throw InternalError("deal_tensors: no writers");
  std::vector<std::size_t> order(bytes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return bytes[a] > bytes[b]; });
  using Load = std::pair<std::int64_t, int>;  // bytes so far, writer: ties go to the lower number
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int writer = 0; writer < writers; ++writer) loads.emplace(0, writer);
  std::vector<int> writer_of(bytes.size());
  for (const std::size_t tensor : order) {
    const auto [load, writer] = loads.top();
    loads.pop();
    loads.emplace(load + bytes[tensor], writer);
    writer_of[tensor] = writer;
  }
  return writer_of;
}

std::string write_shard(const fs::path& temporary_directory, int writer,
                        std::span<const TensorView> tensors, ShardSeconds* seconds) {
  const double begin = seconds_now();
  ShardReport report;
  report.file.name = shard_name(writer);
  const fs::path path = temporary_directory / report.file.name;
  const std::vector<std::uint64_t> offsets = write_structure(path, tensors);
  OpenFile file = OpenFile::for_update(path);
  report.tensors = write_values(file, report.file.name, tensors, offsets);
  const double written = seconds_now();
  // The hash is of the file as it reads, while the disk is at work.
  auto hashing = std::async(std::launch::async, [&] { return hash_file(path); });
  file.sync();
  file.close();
  const double synced = seconds_now();
  const FileHash hash = hashing.get();
  if (seconds) *seconds = {written - begin, synced - written, seconds_now() - synced};
  report.file.bytes = hash.bytes;
  report.file.hash = hash.xxh3_128;
  return to_text(report);
}

fs::path publish_checkpoint(const fs::path& checkpoints, const TrainingState& state,
                            std::span<const std::string> shard_reports) {
  const std::string name = checkpoint_name(state.step);
  const fs::path temporary = checkpoints / (".tmp-" + name);
  const fs::path published = checkpoints / name;
  const fs::path set_aside = checkpoints / (".replaced-" + name);

  Manifest manifest = gather(temporary, state, shard_reports);
  check_records(manifest.files, manifest.tensors, temporary.string());
  manifest.files.insert(manifest.files.begin(), write_index(temporary, state, manifest.tensors));
  write_file_durably(temporary / kManifestName, to_text(manifest));
  fsync_directory(temporary);

  std::error_code ignored;
  const bool replaces = fs::exists(fs::symlink_status(published, ignored));
  if (replaces) {
    remove_tree(set_aside);
    rename_durably(published, set_aside);
  }
  rename_durably(temporary, published);
  if (replaces) remove_tree(set_aside);
  return published;
}

}  // namespace lockstep
