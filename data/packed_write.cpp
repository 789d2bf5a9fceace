#include <nlohmann/json.hpp>
#include <set>

#include "data/error.h"
#include "data/hdf5_dataset.h"
#include "data/packed.h"
#include "data/packed_seal.h"
#include "data/version.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using hdf5::ElementType;

constexpr std::int64_t kProgressEvery = 4096;

/// Counts samples over all splits and both readings.
class Progress {
 public:
  Progress(const PackProgress& report, std::span<const Dataset* const> splits) : report_(report) {
    for (const Dataset* split : splits) total_ += 2 * split->size();
  }
  void advance() {
    ++done_;
    if (report_ && (done_ % kProgressEvery == 0 || done_ == total_)) report_(done_, total_);
  }

 private:
  const PackProgress& report_;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
};

struct SplitTables {
  std::vector<std::uint64_t> offsets = {0};
  std::vector<std::int32_t> labels;
  std::vector<std::uint64_t> checksums;
};

void check_splits(std::span<const Dataset* const> splits) {
  if (splits.empty()) throw ConfigError("pack: there is no split to pack");
  std::set<std::string> names;
  for (const Dataset* split : splits) {
    const DatasetInfo& info = split->info();
    const DatasetInfo& first = splits.front()->info();
    if (info.samples == 0) throw ConfigError("pack: split " + info.split + " has no samples");
    if (!names.insert(info.split).second) {
      throw ConfigError("pack: the split " + info.split + " was given twice");
    }
    if (info.classes != first.classes || info.class_names != first.class_names) {
      throw ConfigError("pack: the classes of split " + info.split + " (" + info.path +
                        ") are not those of split " + first.split + " (" + first.path + ")");
    }
  }
}

/// The first reading: how large the samples are and what they are.
SplitTables measure(const Dataset& split, Progress& progress) {
  SplitTables tables;
  for (std::int64_t i = 0; i < split.size(); ++i) {
    const std::vector<std::uint8_t> bytes = split.encoded(i);
    tables.offsets.push_back(tables.offsets.back() + bytes.size());
    tables.labels.push_back(split.label(i));
    tables.checksums.push_back(hash64(std::as_bytes(std::span(bytes))));
    progress.advance();
  }
  return tables;
}

/// The second one.
void write_samples(const Dataset& split, const SplitTables& tables, std::uint64_t begin,
                   OpenFile& file, Progress& progress) {
  for (std::int64_t i = 0; i < split.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::vector<std::uint8_t> bytes = split.encoded(i);
    const auto view = std::as_bytes(std::span(bytes));
    if (bytes.size() != tables.offsets[at + 1] - tables.offsets[at] ||
        hash64(view) != tables.checksums[at]) {
      throw DataError(split.where(i) + ": changed while it was being packed");
    }
    file.write_at(begin + tables.offsets[at], view);
    progress.advance();
  }
}

nlohmann::ordered_json describe(const DatasetInfo& info) {
  nlohmann::ordered_json json;
  json["source"] = info.origin.empty() ? info.source : info.origin;
  json["format"] = info.format == SampleFormat::kRaw ? "raw" : "image_file";
  json["samples"] = info.samples;
  json["channels"] = info.channels;
  json["height"] = info.height;
  json["width"] = info.width;
  json["classes"] = info.classes;
  json["masks"] = info.masks;
  json["ignore_label"] = info.ignore_label;
  json["class_names"] = info.class_names;
  return json;
}

template <class Element>
void write_table(const hdf5::File& file, const std::string& name, ElementType type,
                 const std::vector<Element>& table) {
  hdf5::write_dataset(file, name, type, {static_cast<std::int64_t>(table.size())},
                      std::as_bytes(std::span(table)));
}

/// Everything but the samples; returns where each split's samples belong.
std::vector<SampleRange> write_structure(const fs::path& path,
                                         std::span<const Dataset* const> splits,
                                         const std::vector<SplitTables>& tables) {
  nlohmann::ordered_json info;
  for (const Dataset* split : splits) info["splits"][split->info().split] = describe(split->info());
  // File names may be in any encoding; JSON is UTF-8.
  const std::string text = info.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);

  hdf5::File file = hdf5::create_file(path, kSealBytes);
  hdf5::set_attribute(file, "lockstep_version", version());
  hdf5::write_dataset(file, "info", ElementType::kUint8, {static_cast<std::int64_t>(text.size())},
                      std::as_bytes(std::span(text)));
  std::vector<SampleRange> ranges;
  for (std::size_t s = 0; s < splits.size(); ++s) {
    const std::string group = splits[s]->info().split + "/";
    write_table(file, group + "offsets", ElementType::kUint64, tables[s].offsets);
    write_table(file, group + "labels", ElementType::kInt32, tables[s].labels);
    write_table(file, group + "checksums", ElementType::kUint64, tables[s].checksums);
    const std::uint64_t bytes = tables[s].offsets.back();
    ranges.push_back({hdf5::reserve_dataset(file, group + "encoded", ElementType::kUint8,
                                            {static_cast<std::int64_t>(bytes)}),
                      bytes});
  }
  hdf5::finish_file(file, path.string());
  return ranges;
}

/// Removes what was written unless all went well.
class Unfinished {
 public:
  explicit Unfinished(fs::path path) : path_(std::move(path)) {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    std::error_code ignored;
    fs::remove(path_, ignored);  // after the renaming it is not there any more
  }

 private:
  fs::path path_;
};

}  // namespace

void pack_dataset(std::span<const Dataset* const> splits, const fs::path& path,
                  const PackProgress& progress_report) {
  check_splits(splits);
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(path, ignored))) {
    throw ConfigError(path.string() + ": exists already; remove it, or pack under another name");
  }
  Progress progress(progress_report, splits);
  std::vector<SplitTables> tables;
  for (const Dataset* split : splits) tables.push_back(measure(*split, progress));

  create_directories_durably(path.parent_path());
  const fs::path temporary = path.string() + ".tmp";
  const Unfinished unfinished(temporary);
  const std::vector<SampleRange> ranges = write_structure(temporary, splits, tables);
  OpenFile file = OpenFile::for_update(temporary);
  for (std::size_t s = 0; s < splits.size(); ++s) {
    write_samples(*splits[s], tables[s], ranges[s].begin, file, progress);
  }
  write_seal(file, ranges);
  file.sync();
  file.close();
  rename_durably(temporary, path);
}

}  // namespace lockstep
