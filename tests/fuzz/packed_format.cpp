// One packed file with two splits. Modes: 0 as it is; 1 its seal repaired, so that HDF5, JSON and
// the tables' checks get to read what was changed.
#include <nlohmann/json.hpp>
#include <set>

#include "data/error.h"
#include "data/files.h"
#include "data/packed.h"
#include "data/packed_seal.h"
#include "tests/fuzz/format.h"
#include "tests/fuzz/pictures.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSplits[] = {"train", "val"};
constexpr std::size_t kTextBytes = kSealBytes - 32;

std::string pack(DatasetOptions options, const fs::path& file) {
  std::vector<std::unique_ptr<Dataset>> opened;
  std::vector<const Dataset*> splits;
  for (const char* split : kSplits) {
    options.split = split;
    splits.push_back(opened.emplace_back(open_dataset(options)).get());
  }
  pack_dataset(splits, file);
  return slurp(file);
}

void add_pictures(const fs::path& folder) {
  const auto add = [&](const fs::path& path, const std::string& bytes) {
    fs::create_directories((folder / path).parent_path());
    spill(folder / path, bytes, 0);
  };
  for (const fs::path split : kSplits) {
    add("folder" / split / "cat" / "1.jpg", picture("colour.jpg"));
    add("folder" / split / "dog" / "1.png", picture("palette.png"));
    add("masks" / split / "images" / "1.png", picture("colour.png"));
    add("masks" / split / "masks" / "1.png", picture("grey.png"));
  }
}

/// Where the seal says that samples are; none if it does not say so in a way that can be
/// understood.
std::vector<SampleRange> ranges_in(const std::string& file) {
  const std::string text = file.substr(0, kTextBytes);
  const std::size_t begin = std::min(text.find('{'), text.size());
  const auto json = nlohmann::json::parse(text.substr(begin), nullptr, false);
  std::vector<SampleRange> ranges;
  try {
    for (const auto& range : json.at("samples")) {
      ranges.push_back({range.at(0).get<std::uint64_t>(), range.at(1).get<std::uint64_t>()});
    }
  } catch (const nlohmann::json::exception&) {
    ranges.clear();
  }
  return ranges;
}

/// A seal that fits the file where possible, else the right hash under its text.
void repair(const fs::path& path, std::string bytes) {
  OpenFile file = OpenFile::for_update(path);
  const std::vector<SampleRange> ranges = ranges_in(bytes);
  try {
    if (!ranges.empty()) return write_seal(file, ranges);
  } catch (const Error&) {  // ranges that cannot be, or too many
  }
  bytes.resize(kTextBytes, ' ');
  const std::string hash = hash128(bytes);
  file.write_at(kTextBytes, std::as_bytes(std::span(hash)));
}

/// Hash of all that training takes from a split.
std::string content(const Dataset& split) {
  const DatasetInfo& info = split.info();
  nlohmann::json json{info.split,      static_cast<int>(info.format),
                      info.channels,   info.height,
                      info.width,      info.classes,
                      info.masks,      info.ignore_label,
                      info.class_names};
  Image image;
  for (std::int64_t i = 0; i < split.size(); ++i) {
    const std::vector<std::uint8_t> bytes = split.encoded(i);
    json.push_back({split.label(i), hash128(std::as_bytes(std::span(bytes)))});
    split.read(i, image);
  }
  return hash128(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

class PackedFormat : public Format {
 public:
  explicit PackedFormat(const fs::path& folder)
      : Format("packed", 1, 2, {std::uint64_t{1} << 30, 16}) {
    add_pictures(folder);
    DatasetOptions synthetic{.source = "synthetic", .synthetic_samples = 7};
    synthetic.synthetic_classes = 3;
    synthetic.synthetic_height = synthetic.synthetic_width = 4;
    const DatasetOptions files{.source = "folder", .path = (folder / "folder").string()};
    DatasetOptions masks{.source = "masks", .path = (folder / "masks").string()};
    masks.ignore_label = 255;
    for (const DatasetOptions& options : {synthetic, files, masks}) {
      const fs::path file = folder / (options.source + ".h5");
      originals_.push_back({0, {pack(options, file)}});
      for (const char* split : kSplits) {
        contents_.insert(
            content(*open_packed({.source = "packed", .path = file.string(), .split = split})));
      }
    }
    vocabulary_.words = {
        "\"samples\"", "\"raw\"", "\"image_file\"", "\"masks\":true", "null", "[", "{",
        "train",       "val",     "\xff\xfe"};
    vocabulary_.marks = {"\x89HDF",
                         "TREE",
                         "SNOD",
                         "HEAP",
                         "\"splits\"",
                         "\"samples\"",
                         std::string("\x01\0\x06\0", 4),
                         std::string("\x08\0\x18\0", 4)};
  }

  void read(const Input& input, const fs::path& folder) const override {
    const fs::path file = folder / "packed.h5";
    spill(file, input.files[0], 0);
    const bool repaired = (input.mode & 1) != 0;
    if (repaired) repair(file, input.files[0]);
    verify_packed(file);
    for (const char* split : kSplits) {
      const auto dataset = open_packed({.source = "packed", .path = file.string(), .split = split});
      if (!contents_.contains(content(*dataset)) && !repaired) {
        throw Finding("a packed set of other content was taken as good");
      }
    }
  }

 private:
  std::set<std::string> contents_;
};

}  // namespace

std::unique_ptr<Format> make_packed_format(const fs::path& folder) {
  return std::make_unique<PackedFormat>(folder);
}

}  // namespace lockstep::fuzz
