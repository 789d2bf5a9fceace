#include "data/packed.h"

#include <cassert>
#include <nlohmann/json.hpp>

#include "data/error.h"
#include "data/hdf5_reader.h"
#include "data/packed_seal.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using hdf5::ElementType;
using Json = nlohmann::json;

/// A whole 1-D dataset; the reader knows that it fits into the file.
template <class Element>
std::vector<Element> read_table(const hdf5::Reader& file, const std::string& where,
                                const std::string& name, ElementType type) {
  const hdf5::StoredDataset& stored = file.find(name, type);
  if (stored.dims.size() != 1) throw DataError(where + ": " + name + " is not a list");
  std::vector<Element> table(static_cast<std::size_t>(stored.dims[0]));
  file.read(name, type, stored.dims, std::as_writable_bytes(std::span(table)));
  return table;
}

/// A sealed file, opened.
struct PackedFile {
  std::string path;
  OpenFile bytes;
  hdf5::Reader hdf5;
  Json info;
};

PackedFile open_sealed(const std::string& path) {
  OpenFile bytes = OpenFile::for_reading(path);
  check_seal(bytes);
  hdf5::Reader file(path);
  const auto text = read_table<std::uint8_t>(file, path, "info", ElementType::kUint8);
  return {path, std::move(bytes), std::move(file), Json::parse(text.begin(), text.end())};
}

DatasetInfo parse_info(const PackedFile& packed, const std::string& split) {
  const Json& json = packed.info.at("splits").at(split);
  DatasetInfo info;
  info.source = "packed";
  info.path = packed.path;
  info.split = split;
  const auto format = json.at("format").get<std::string>();
  if (format != "raw" && format != "image_file") {
    throw DataError(packed.path + ": samples in an unknown format '" + format + "'");
  }
  info.format = format == "raw" ? SampleFormat::kRaw : SampleFormat::kImageFile;
  info.origin = json.value("source", "");
  json.at("samples").get_to(info.samples);
  json.at("channels").get_to(info.channels);
  json.at("height").get_to(info.height);
  json.at("width").get_to(info.width);
  json.at("classes").get_to(info.classes);
  info.masks = json.value("masks", false);
  info.ignore_label = json.value("ignore_label", -1);
  json.at("class_names").get_to(info.class_names);
  return info;
}

[[noreturn]] void fail(const DatasetInfo& info, const std::string& what) {
  throw DataError(info.path + ": split " + info.split + ": " + what);
}

/// Bytes of every sample; 0 where they differ.
std::uint64_t raw_bytes(const DatasetInfo& info) {
  if (info.format != SampleFormat::kRaw) return 0;
  if (!is_possible_size(info.channels, info.height, info.width))
    fail(info, "pictures of an impossible size");
  return static_cast<std::uint64_t>(info.height) * static_cast<std::uint64_t>(info.width) *
         static_cast<std::uint64_t>(info.channels + (info.masks ? 1 : 0));
}

void check_tables(const DatasetInfo& info, const PackedDataset::Tables& tables,
                  std::uint64_t encoded_bytes) {
  const auto samples = static_cast<std::uint64_t>(info.samples);
  if (info.samples <= 0 || tables.offsets.size() != samples + 1 ||
      tables.labels.size() != samples || tables.checksums.size() != samples) {
    fail(info,
         "its tables are not of the length of its " + std::to_string(info.samples) + " samples");
  }
  const std::uint64_t sample_bytes = raw_bytes(info);
  if (tables.offsets.front() != 0 || tables.offsets.back() != encoded_bytes) {
    fail(info, "its offsets do not cover its samples");
  }
  for (std::size_t i = 0; i < samples; ++i) {
    const std::uint64_t begin = tables.offsets[i];
    const std::uint64_t end = tables.offsets[i + 1];
    if (end < begin || end > encoded_bytes ||
        (info.format == SampleFormat::kRaw && end - begin != sample_bytes)) {
      fail(info, "impossible offsets of sample " + std::to_string(i));
    }
    if (tables.labels[i] < 0 || tables.labels[i] >= info.classes) {
      fail(info, "label " + std::to_string(tables.labels[i]) + " of sample " + std::to_string(i) +
                     " is not in [0, " + std::to_string(info.classes) + ")");
    }
  }
}

std::unique_ptr<Dataset> open_split(PackedFile packed, const std::string& split) {
  DatasetInfo info = parse_info(packed, split);
  const std::string group = split + "/";
  PackedDataset::Tables tables;
  tables.offsets =
      read_table<std::uint64_t>(packed.hdf5, packed.path, group + "offsets", ElementType::kUint64);
  tables.labels =
      read_table<std::int32_t>(packed.hdf5, packed.path, group + "labels", ElementType::kInt32);
  tables.checksums = read_table<std::uint64_t>(packed.hdf5, packed.path, group + "checksums",
                                               ElementType::kUint64);
  const hdf5::StoredDataset encoded = packed.hdf5.find(group + "encoded", ElementType::kUint8);
  if (encoded.dims.size() != 1) fail(info, "its samples are not a list of bytes");
  const auto bytes = static_cast<std::uint64_t>(encoded.dims[0]);
  tables.begin = encoded.offset;
  check_tables(info, tables, bytes);
  return std::make_unique<PackedDataset>(std::move(info), std::move(packed.bytes),
                                         std::move(tables));
}

/// What JSON complains about is that this file is wrong.
template <class Read>
auto as_data_error(const std::string& path, Read read) {
  try {
    return read();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(path + ": its /info cannot be understood: " + error.what());
  } catch (const fs::filesystem_error& error) {
    throw IoError(path + ": " + error.what());
  }
}

}  // namespace

std::unique_ptr<Dataset> open_packed(const DatasetOptions& options) {
  return as_data_error(options.path, [&] {
    PackedFile packed = open_sealed(options.path);
    if (!packed.info.at("splits").contains(options.split)) {
      std::string names;
      for (const auto& [name, split] : packed.info.at("splits").items()) {
        names += (names.empty() ? "" : ", ") + name;
      }
      throw ConfigError(options.path + ": has no split '" + options.split + "', only " + names);
    }
    return open_split(std::move(packed), options.split);
  });
}

std::vector<DatasetInfo> verify_packed(const fs::path& path) {
  return as_data_error(path.string(), [&] {
    std::vector<DatasetInfo> infos;
    const PackedFile packed = open_sealed(path.string());
    for (const auto& [name, split] : packed.info.at("splits").items()) {
      const auto dataset = open_split(open_sealed(path.string()), name);
      for (std::int64_t i = 0; i < dataset->size(); ++i) dataset->encoded(i);
      infos.push_back(dataset->info());
    }
    return infos;
  });
}

PackedDataset::PackedDataset(DatasetInfo info, OpenFile file, Tables tables)
    : Dataset(std::move(info)), file_(std::move(file)), tables_(std::move(tables)) {}

int PackedDataset::label(std::int64_t index) const {
  assert(index >= 0 && index < size());
  return tables_.labels[static_cast<std::size_t>(index)];
}

std::vector<std::uint8_t> PackedDataset::encoded(std::int64_t index) const {
  assert(index >= 0 && index < size());
  const auto at = static_cast<std::size_t>(index);
  std::vector<std::uint8_t> bytes(tables_.offsets[at + 1] - tables_.offsets[at]);
  const auto view = std::as_writable_bytes(std::span(bytes));
  if (file_.read_at(tables_.begin + tables_.offsets[at], view) != bytes.size()) {
    throw DataError(where(index) + ": the file ends before: cut short");
  }
  if (hash64(view) != tables_.checksums[at]) {
    throw DataError(where(index) + ": does not match its checksum: damaged; pack or copy it again");
  }
  return bytes;
}

std::uint64_t PackedDataset::encoded_bytes(std::int64_t index) const {
  const auto at = static_cast<std::size_t>(index);
  return tables_.offsets[at + 1] - tables_.offsets[at];
}

std::uint64_t PackedDataset::checksum(std::int64_t index) const {
  return tables_.checksums[static_cast<std::size_t>(index)];
}

std::string PackedDataset::where(std::int64_t index) const {
  const auto at = static_cast<std::size_t>(index);
  return info_.path + ", split " + info_.split + ", sample " + std::to_string(index) + " at byte " +
         std::to_string(tables_.begin + tables_.offsets[at]);
}

}  // namespace lockstep
