#include "data/image_folder.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <utility>

#include "data/error.h"
#include "data/image_file.h"
#include "data/read_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxFileBytes = std::int64_t{256} << 20;

class ImageFolder : public Dataset {
 public:
  ImageFolder(DatasetInfo info, fs::path root, std::vector<std::string> files,
              std::vector<std::int32_t> labels)
      : Dataset(std::move(info)),
        root_(std::move(root)),
        files_(std::move(files)),
        labels_(std::move(labels)) {}

  int label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  std::vector<std::uint8_t> encoded(std::int64_t index) const override {
    return read_file(where(index), kMaxFileBytes);
  }
  std::string where(std::int64_t index) const override {
    return (root_ / files_[static_cast<std::size_t>(index)]).string();
  }

 private:
  fs::path root_;
  std::vector<std::string> files_;  // [samples], relative to root_
  std::vector<std::int32_t> labels_;
};

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

std::string lower_ending(const fs::path& file) {
  std::string ending = file.extension().string();
  for (char& letter : ending) {
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return ending;
}

std::vector<std::string> class_folders(const fs::path& root) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    if (entry.is_directory() && !is_hidden(entry.path())) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  if (names.empty()) {
    throw DataError(root.string() + ": no sub-folders; each class is a sub-folder of pictures");
  }
  return names;
}

/// What lies in a class folder. `others` counts files that are no pictures by their ending.
struct Listing {
  std::vector<std::string> pictures;  // relative to the split's folder, sorted
  std::set<std::string> endings;
  std::int64_t others = 0;
  std::string other;  // one of them
};

void list_pictures(const fs::path& root, const std::string& name, Listing& listing) {
  const std::size_t first = listing.pictures.size();
  for (auto entry = fs::recursive_directory_iterator(root / name);
       entry != fs::recursive_directory_iterator(); ++entry) {
    if (is_hidden(entry->path())) {
      if (entry->is_directory()) entry.disable_recursion_pending();
      continue;
    }
    if (entry->is_directory()) continue;
    const std::string ending = lower_ending(entry->path());
    if (ending == ".jpg" || ending == ".jpeg" || ending == ".png") {
      listing.endings.insert(ending);
      listing.pictures.push_back(entry->path().lexically_relative(root).string());
    } else {
      ++listing.others;
      listing.other = entry->path().string();
    }
  }
  if (listing.pictures.size() == first) {
    throw DataError((root / name).string() + ": a class without pictures (.jpg, .jpeg, .png)");
  }
  std::sort(listing.pictures.begin() + static_cast<std::ptrdiff_t>(first), listing.pictures.end());
}

fs::path find_split(const fs::path& path, const std::string& split) {
  if (!fs::is_directory(path)) throw MissingFileError(path.string() + ": no such folder");
  const std::string other = split == "train" ? "val" : "train";
  if (fs::is_directory(path / split)) return path / split;
  if (fs::is_directory(path / other)) {
    throw MissingFileError((path / split).string() + ": no such folder, beside " +
                           (path / other).string() +
                           (split == "val" ? "; make it, or do not validate (train.validate_every = 0; of lockstep "
                                             "data check and pack: --split train)"
                                           : ""));
  }
  if (split == "val")  // else it would be the training pictures
    throw MissingFileError((path / split).string() + ": no such folder; make train/ and val/ in " +
                           path.string() + ", or do not validate (train.validate_every = 0)");
  return path;
}

std::unique_ptr<Dataset> open_listed(const DatasetOptions& options) {
  const fs::path root = find_split(options.path, options.split);
  const std::vector<std::string> present = class_folders(root);
  const bool has_train =
      options.split == "val" && fs::is_directory(fs::path(options.path) / "train");
  const std::vector<std::string> classes =
      has_train ? class_folders(fs::path(options.path) / "train") : present;

  Listing listing;
  std::vector<std::int32_t> labels;
  for (const std::string& name : present) {
    const auto found = std::lower_bound(classes.begin(), classes.end(), name);
    if (found == classes.end() || *found != name) {
      throw DataError((root / name).string() + ": training has no class of this name");
    }
    list_pictures(root, name, listing);
    labels.resize(listing.pictures.size(), static_cast<std::int32_t>(found - classes.begin()));
  }
  if (listing.others > 0) {
    spdlog::warn("{}: {} files are no pictures by their names and are passed over, e.g. {}",
                 root.string(), listing.others, listing.other);
  }
  for (const std::string& ending : listing.endings) require_codec(ending);

  DatasetInfo info;
  info.source = "folder";
  info.path = options.path;
  info.split = options.split;
  info.format = SampleFormat::kImageFile;
  info.classes = static_cast<int>(classes.size());
  info.class_names = classes;
  info.samples = static_cast<std::int64_t>(labels.size());
  return std::make_unique<ImageFolder>(std::move(info), root, std::move(listing.pictures),
                                       std::move(labels));
}

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const DatasetOptions& options) {
  try {
    return open_listed(options);
  } catch (const fs::filesystem_error& error) {
    throw IoError(options.path + ": cannot be listed: " + error.what());
  }
}

}  // namespace lockstep
