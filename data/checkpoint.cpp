#include "data/checkpoint.h"

#include <algorithm>
#include <map>

#include "data/checkpoint_manifest.h"
#include "data/error.h"
#include "data/files.h"
#include "data/hdf5_reader.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

void check_regular_file(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (!fs::exists(status)) {
    throw CheckpointError(path.string() + ": is missing, so this checkpoint cannot be used");
  }
  if (!fs::is_regular_file(status)) {
    throw CheckpointError(path.string() + ": is not a regular file");
  }
}

void verify_file(const fs::path& path, const FileRecord& record) {
  check_regular_file(path);
  const std::uint64_t bytes = fs::file_size(path);
  if (bytes != record.bytes) {
    throw CheckpointError(path.string() + ": has " + std::to_string(bytes) +
                          " bytes, but the manifest says " + std::to_string(record.bytes));
  }
  if (hash_file(path) != FileHash{record.bytes, record.hash}) {
    throw CheckpointError(path.string() + ": does not match its hash in the manifest: damaged");
  }
}

/// The shard must hold the tensors that are listed for it, and nothing else.
void check_only(const hdf5::Reader& shard, const std::string& where,
                const std::set<std::string>& names) {
  for (const auto& [name, dataset] : shard.datasets()) {
    if (!names.contains(name)) {
      throw CheckpointError(where + ": " + name + ": is not listed for this file");
    }
  }
  if (shard.datasets().size() != names.size()) {
    throw CheckpointError(where + ": holds " + std::to_string(shard.datasets().size()) + " of " +
                          std::to_string(names.size()) + " datasets that are listed for it");
  }
}

/// Any error of reading a checkpoint means: this one cannot be used.
template <class Read>
auto as_checkpoint_error(const fs::path& directory, Read read) {
  try {
    return read();
  } catch (const CheckpointError&) {
    throw;
  } catch (const Error& error) {
    throw CheckpointError(error.what());
  } catch (const fs::filesystem_error& error) {
    throw CheckpointError(directory.string() + ": " + error.what());
  }
}

}  // namespace

struct Checkpoint::Contents {
  fs::path directory;
  Manifest manifest;
  std::vector<std::string> names;
  std::map<std::string, const TensorRecord*> tensors;  // into the manifest
  std::map<std::string, hdf5::Reader> shards;          // by file name

  const TensorRecord& find(const std::string& name) const {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      throw CheckpointError(directory.string() + ": has no tensor " + name +
                            "; was it saved by another model?");
    }
    return *found->second;
  }
};

Checkpoint::Checkpoint(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Checkpoint Checkpoint::open(const fs::path& directory) {
  return as_checkpoint_error(directory, [&] {
    auto contents = std::make_unique<Contents>();
    contents->directory = directory;
    const fs::path manifest_path = directory / kManifestName;
    check_regular_file(manifest_path);
    Manifest& manifest = contents->manifest;
    manifest =
        parse_manifest(read_text_file(manifest_path, kMostManifestBytes), manifest_path.string());
    for (const FileRecord& file : manifest.files) verify_file(directory / file.name, file);
    for (const FileRecord& file : manifest.files) {
      if (file.name == kIndexName) continue;  // for people; what is loaded comes from the shards
      const hdf5::Reader& shard =
          contents->shards.emplace(file.name, directory / file.name).first->second;
      check_only(shard, (directory / file.name).string(), manifest.names_in(file.name));
    }
    for (const TensorRecord& tensor : manifest.tensors) {
      contents->names.push_back(tensor.name);
      contents->tensors[tensor.name] = &tensor;
      const std::string where = (directory / tensor.file).string();
      const hdf5::StoredDataset& stored =
          contents->shards.at(tensor.file).find(tensor.name, hdf5::ElementType::kFloat32);
      if (stored.dims != tensor.dims) {
        throw CheckpointError(where + ": " + tensor.name + ": dims differ from the manifest's");
      }
    }
    std::sort(contents->names.begin(), contents->names.end());
    return Checkpoint(std::move(contents));
  });
}

const fs::path& Checkpoint::directory() const { return contents_->directory; }
const TrainingState& Checkpoint::state() const { return contents_->manifest.state; }
const std::vector<std::string>& Checkpoint::names() const { return contents_->names; }

bool Checkpoint::contains(const std::string& name) const {
  return contents_->tensors.contains(name);
}

const std::vector<std::int64_t>& Checkpoint::dims(const std::string& name) const {
  return contents_->find(name).dims;
}

std::uint64_t Checkpoint::bytes() const {
  std::uint64_t bytes = 0;
  for (const FileRecord& file : contents_->manifest.files) bytes += file.bytes;
  return bytes;
}

void Checkpoint::read(const std::string& name, std::span<float> values) const {
  const TensorRecord& tensor = contents_->find(name);
  const std::string where = (contents_->directory / tensor.file).string();
  const auto elements = static_cast<std::size_t>(hdf5::elements_of(tensor.dims, name));
  if (values.size() != elements) {
    throw CheckpointError(where + ": " + name + " has " + std::to_string(elements) +
                          " elements, but the model wants " + std::to_string(values.size()));
  }
  const auto bytes = std::as_writable_bytes(values);
  as_checkpoint_error(contents_->directory, [&] {
    contents_->shards.at(tensor.file).read(name, hdf5::ElementType::kFloat32, tensor.dims, bytes);
  });
  if (hash128(bytes) != tensor.hash) {
    throw CheckpointError(where + ": " + name + ": its values do not match their hash");
  }
}

}  // namespace lockstep
