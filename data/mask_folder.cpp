#include "data/mask_folder.h"

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

struct Pair {
  std::string picture, mask;
};

class MaskFolder : public Dataset {
 public:
  MaskFolder(DatasetInfo info, std::vector<Pair> pairs)
      : Dataset(std::move(info)), pairs_(std::move(pairs)) {}

  int label(std::int64_t) const override { return 0; }

  std::vector<std::uint8_t> encoded(std::int64_t index) const override {
    const Pair& pair = pairs_[static_cast<std::size_t>(index)];
    const std::vector<std::uint8_t> picture = read_file(pair.picture, kMaxFileBytes);
    const std::vector<std::uint8_t> mask = read_file(pair.mask, kMaxFileBytes);
    std::vector<std::uint8_t> both;
    both.reserve(4 + picture.size() + mask.size());
    for (int i = 0; i < 4; ++i)
      both.push_back(static_cast<std::uint8_t>(picture.size() >> (8 * i)));
    both.insert(both.end(), picture.begin(), picture.end());
    both.insert(both.end(), mask.begin(), mask.end());
    return both;
  }

  std::string file_name(std::int64_t index) const override {
    const Pair& pair = pairs_[static_cast<std::size_t>(index)];
    const auto relative = [&](const std::string& file) {
      return fs::path(file).lexically_relative(info_.path).string();
    };
    return relative(pair.picture) + "\n" + relative(pair.mask);
  }

  std::uint64_t encoded_bytes(std::int64_t index) const override {
    const Pair& pair = pairs_[static_cast<std::size_t>(index)];
    return 4 + file_bytes(pair.picture) + file_bytes(pair.mask);
  }

  std::string where(std::int64_t index) const override {
    const Pair& pair = pairs_[static_cast<std::size_t>(index)];
    return pair.picture + " and " + pair.mask;
  }

 private:
  std::vector<Pair> pairs_;
};

struct Folders {
  fs::path pictures, masks;
};

/// Either of the two ways of a split: SPLIT/images and SPLIT/masks, or SPLIT and SPLITannot.
bool in_one_folder(const fs::path& path, const std::string& split) {
  return fs::is_directory(path / split / "images") && fs::is_directory(path / split / "masks");
}
bool in_two_folders(const fs::path& path, const std::string& split) {
  return fs::is_directory(path / split) && fs::is_directory(path / (split + "annot"));
}

Folders folders_of(const fs::path& path, const std::string& split) {
  if (!fs::is_directory(path)) throw MissingFileError(path.string() + ": no such folder");
  if (in_one_folder(path, split)) return {path / split / "images", path / split / "masks"};
  if (in_two_folders(path, split)) return {path / split, path / (split + "annot")};
  std::string deeper;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.is_directory() &&
        (in_one_folder(entry.path(), split) || in_two_folders(entry.path(), split)))
      deeper = "; they are in " + entry.path().string() + ": set data.path to that";
  throw MissingFileError(path.string() + ": neither " + split + "/images and " + split +
                         "/masks nor " + split + " and " + split + "annot are folders in it" +
                         deeper);
}

bool is_picture(const fs::path& file) {
  std::string ending = file.extension().string();
  for (char& letter : ending)
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return (ending == ".jpg" || ending == ".jpeg" || ending == ".png") &&
         !file.filename().string().starts_with(".");
}

/// `passed_over`, if asked for, becomes the names of files and folders that are no pictures.
std::vector<Pair> list_pairs(const Folders& folders, std::set<std::string>* passed_over = nullptr) {
  std::vector<Pair> pairs;
  for (const fs::directory_entry& entry : fs::directory_iterator(folders.pictures)) {
    if (!entry.is_regular_file() || !is_picture(entry.path())) {
      const bool hidden = entry.path().filename().string().starts_with(".");
      if (passed_over && !hidden) passed_over->insert(entry.path().string());
      continue;
    }
    const fs::path mask = folders.masks / (entry.path().stem().string() + ".png");
    if (!fs::is_regular_file(mask))
      throw MissingFileError(mask.string() + ": no such file; it is the mask of " +
                             entry.path().string());
    require_codec(entry.path().extension().string());
    pairs.push_back({entry.path().string(), mask.string()});
  }
  require_codec(".png");
  if (pairs.empty())
    throw DataError(folders.pictures.string() + ": no pictures (.jpg, .jpeg, .png)");
  std::sort(pairs.begin(), pairs.end(),
            [](const Pair& a, const Pair& b) { return a.picture < b.picture; });
  return pairs;
}

/// One more than the largest label.
int count_classes(const std::vector<Pair>& pairs, int ignore_label) {
  int largest = -1;
  Image image;
  for (const Pair& pair : pairs) {
    const auto fail = [&](const std::string& what) { throw DataError(pair.mask + ": " + what); };
    try {
      const std::vector<std::uint8_t> file = read_file(pair.mask, kMaxFileBytes);
      decode_image_file(file, image);  // for its size
      decode_mask_file(file, image);
    } catch (const DataError& error) {
      fail(error.what());
    }
    for (const std::uint8_t label : image.mask)
      if (label != ignore_label) largest = std::max<int>(largest, label);
    if (largest == kNoLabel) fail("has label 255, which is no class; set data.ignore_label = 255");
  }
  return largest + 1;
}

}  // namespace

std::unique_ptr<Dataset> open_mask_folder(const DatasetOptions& options) {
  try {
    std::set<std::string> passed_over;
    std::vector<Pair> pairs = list_pairs(folders_of(options.path, options.split), &passed_over);
    DatasetInfo info;
    if (!passed_over.empty())
      info.warnings.push_back(
          "files and folders that are neither .jpg, .jpeg nor .png are passed over: " +
          std::to_string(passed_over.size()) + ", e.g. " + *passed_over.begin());
    info.source = "masks";
    info.path = options.path;
    info.split = options.split;
    info.format = SampleFormat::kImageFile;
    info.masks = true;
    info.ignore_label = options.ignore_label;
    info.samples = static_cast<std::int64_t>(pairs.size());
    info.classes = options.classes;
    if (info.classes == 0)
      info.classes = count_classes(
          options.split == "train" ? pairs : list_pairs(folders_of(options.path, "train")),
          options.ignore_label);
    if (info.classes < 2)
      throw DataError(options.path + ": the training masks have " + std::to_string(info.classes) +
                      " classes; there must be at least 2");
    return std::make_unique<MaskFolder>(std::move(info), std::move(pairs));
  } catch (const fs::filesystem_error& error) {
    throw IoError(options.path + ": cannot be listed: " + error.what());
  }
}

}  // namespace lockstep
