#include "data/image_folder.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
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
  std::string file_name(std::int64_t index) const override {
    return files_[static_cast<std::size_t>(index)];
  }
  std::uint64_t encoded_bytes(std::int64_t index) const override {
    return file_bytes(where(index));
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

std::vector<std::string> class_folders_or_none(const fs::path& root) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    if (entry.is_directory() && !is_hidden(entry.path())) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> class_folders(const fs::path& root) {
  std::vector<std::string> names = class_folders_or_none(root);
  if (names.empty()) {
    throw DataError(root.string() + ": no sub-folders; each class is a sub-folder of pictures");
  }
  return names;
}

/// "2 .bmp and 1 .webp": how many files of each kind.
std::string count_text(const std::map<std::string, std::int64_t>& counts) {
  std::string text;
  std::size_t left = counts.size();
  for (const auto& [ending, count] : counts) {
    text += std::to_string(count) + " " + (ending.empty() ? "without an ending" : ending);
    if (--left > 0) text += left == 1 ? " and " : ", ";
  }
  return text;
}

/// What lies in a split's class folders.
struct Listing {
  std::vector<std::string> pictures;  // relative to the split's folder, sorted within a class
  std::set<std::string> endings;
  std::map<std::string, std::int64_t> others;  // files that are no pictures, by ending
  std::string other;                           // one of them
  std::int64_t repeated_links = 0;             // links to folders that are read already
  std::string repeated_link;                   // one of them

  std::vector<std::string> warnings() const {
    std::vector<std::string> texts;
    if (!others.empty())
      texts.push_back("files that are neither .jpg, .jpeg nor .png are passed over: " +
                      count_text(others) + ", e.g. " + other);
    if (repeated_links > 0)
      texts.push_back(
          "links to folders that are read already, or that they lie in, are passed over: " +
          std::to_string(repeated_links) + ", e.g. " + repeated_link);
    return texts;
  }
};

/// Lists a folder with all below it, mostly a class's. Links to folders are followed, each folder is read once.
class ClassLister {
 public:
  ClassLister(const fs::path& root, Listing& listing) : root_(root), listing_(listing) {}

  /// Returns how many pictures it has.
  std::size_t list(const std::string& name) {
    const std::size_t first = listing_.pictures.size();
    // A link to a folder that the class lies in leads to other classes, and round in a circle.
    for (fs::path above = fs::canonical(root_ / name).parent_path();; above = above.parent_path()) {
      seen_.insert(above.string());
      if (above == above.root_path()) break;
    }
    read_folder(root_ / name);
    while (!links_.empty()) {  // after what lies in the folder itself, in the order of names
      const fs::path link = *links_.begin();
      links_.erase(links_.begin());
      read_folder(link);
    }
    std::sort(listing_.pictures.begin() + static_cast<std::ptrdiff_t>(first),
              listing_.pictures.end());
    return listing_.pictures.size() - first;
  }

 private:
  void read_folder(const fs::path& folder) {
    if (!seen_.insert(fs::canonical(folder).string()).second) {
      ++listing_.repeated_links;
      listing_.repeated_link = folder.string();
      return;
    }
    std::vector<fs::path> folders;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (is_hidden(entry.path())) continue;
      if (!entry.is_directory()) {
        add_file(entry.path());
      } else if (entry.is_symlink()) {
        links_.insert(entry.path());
      } else {
        folders.push_back(entry.path());
      }
    }
    for (const fs::path& below : folders) read_folder(below);
  }

  void add_file(const fs::path& file) {
    const std::string ending = lower_ending(file);
    if (ending == ".jpg" || ending == ".jpeg" || ending == ".png") {
      listing_.endings.insert(ending);
      listing_.pictures.push_back(file.lexically_relative(root_).string());
    } else {
      ++listing_.others[ending];
      if (listing_.other.empty() || file.string() < listing_.other) listing_.other = file.string();
    }
  }

  const fs::path& root_;
  Listing& listing_;
  std::set<std::string> seen_;  // folders, without links in their paths
  std::set<fs::path> links_;    // still to be followed
};

bool has_splits(const fs::path& path) {
  return fs::is_directory(path / "train") && fs::is_directory(path / "val");
}

/// The first folder in `path` that has a folder `name`; empty: there is none.
fs::path folder_that_has(const fs::path& path, const std::string& name) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.is_directory() && !is_hidden(entry.path()) && fs::is_directory(entry.path() / name))
      found.push_back(entry.path());
  return found.empty() ? fs::path() : *std::min_element(found.begin(), found.end());
}

/// What is said of a split's folder that lies one level deeper than it should; "" where it does not.
std::string too_deep(const fs::path& path, const std::string& split) {
  const fs::path found = folder_that_has(path, split);
  if (found.empty()) return "";
  return "; there is " + (found / split).string() + ", one level deeper: " +
         (has_splits(found) ? "set data.path = " + found.string()
                            : "move it to " + (path / split).string());
}

fs::path find_split(const fs::path& path, const std::string& split) {
  if (!fs::is_directory(path)) throw MissingFileError(path.string() + ": no such folder");
  const std::string other = split == "train" ? "val" : "train";
  if (fs::is_directory(path / split)) return path / split;
  const std::string missing = (path / split).string() + ": no such folder";
  const std::string deeper = too_deep(path, split);
  if (fs::is_directory(path / other)) {
    throw MissingFileError(
        missing + ", beside " + (path / other).string() +
        (!deeper.empty()  ? deeper
         : split == "val" ? "; make it, or do not validate (train.validate_every = 0; of lockstep "
                            "data check and pack: --split train)"
                          : ""));
  }
  if (split == "val")  // else it would be the training pictures
    throw MissingFileError(missing + (!deeper.empty()
                                          ? deeper
                                          : "; make train/ and val/ in " + path.string() +
                                                ", or do not validate "
                                                "(train.validate_every = 0)"));
  if (!deeper.empty() && has_splits(folder_that_has(path, split)))
    throw MissingFileError(missing + deeper);  // else all of it would be one class
  return path;
}

/// A class of validation that training does not have.
[[noreturn]] void refuse_class(const fs::path& root, const std::string& name,
                               const std::vector<std::string>& classes) {
  const auto is_class = [&](const std::string& word) {
    return std::find(classes.begin(), classes.end(), word) != classes.end();
  };
  for (const std::string& word : class_folders_or_none(root / name))
    if (is_class(word))
      throw DataError((root / name / word).string() + ": a class one level too deep; move it to " +
                      (root / word).string());
  constexpr std::size_t kShown = 5;
  std::string names;
  for (std::size_t i = 0; i < std::min(kShown, classes.size()); ++i)
    names += (i > 0 ? ", " : "") + classes[i];
  throw DataError((root / name).string() + ": training has no class of this name; it has " + names +
                  (classes.size() > kShown ? ", ..." : ""));
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
    if (found == classes.end() || *found != name) refuse_class(root, name, classes);
    if (ClassLister(root, listing).list(name) == 0)
      throw DataError((root / name).string() + ": a class without pictures (.jpg, .jpeg, .png)");
    labels.resize(listing.pictures.size(), static_cast<std::int32_t>(found - classes.begin()));
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
  info.warnings = listing.warnings();
  return std::make_unique<ImageFolder>(std::move(info), root, std::move(listing.pictures),
                                       std::move(labels));
}

std::unique_ptr<Dataset> open_listed_pictures(std::span<const std::string> paths) {
  Listing all;
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!fs::exists(path)) throw MissingFileError(path + ": no such file or folder");
    if (!fs::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    const fs::path folder = path;
    const std::size_t first = all.pictures.size();
    if (ClassLister(folder, all).list("") == 0)
      throw DataError(path + ": a folder without pictures (.jpg, .jpeg, .png)");
    for (std::size_t i = first; i < all.pictures.size(); ++i)
      files.push_back((folder / all.pictures[i]).string());
  }
  DatasetInfo info;
  info.source = "folder";
  info.split = "pictures";
  info.format = SampleFormat::kImageFile;
  info.classes = 1;
  info.samples = static_cast<std::int64_t>(files.size());
  info.warnings = all.warnings();
  std::vector<std::int32_t> labels(files.size(), 0);
  return std::make_unique<ImageFolder>(std::move(info), fs::path(), std::move(files),
                                       std::move(labels));
}

}  // namespace

std::unique_ptr<Dataset> open_pictures(std::span<const std::string> paths) {
  try {
    return open_listed_pictures(paths);
  } catch (const fs::filesystem_error& error) {
    throw IoError(std::string("pictures cannot be listed: ") + error.what());
  }
}

std::unique_ptr<Dataset> open_image_folder(const DatasetOptions& options) {
  try {
    return open_listed(options);
  } catch (const fs::filesystem_error& error) {
    throw IoError(options.path + ": cannot be listed: " + error.what());
  }
}

}  // namespace lockstep
