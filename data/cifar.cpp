// CIFAR-10 and CIFAR-100, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of
// the label (CIFAR-100: coarse label, then fine label) and 3 planes R, G, B of 32 x 32 bytes.
#include <filesystem>
#include <utility>

#include "data/error.h"
#include "data/memory_dataset.h"
#include "data/read_file.h"

namespace lockstep {
namespace {

constexpr std::size_t kSide = 32;
constexpr std::size_t kPlane = kSide * kSide;
constexpr std::int64_t kMaxBytes = std::int64_t{4} << 30;

struct CifarLayout {
  std::string source;
  std::string usual_folder;  // inside the archive
  std::vector<std::string> train_files;
  std::string val_file;
  std::string names_file;
  std::size_t label_bytes;  // the last of them is the label
  int classes;
};

/// `path` itself, or the folder that the archive unpacks to.
std::filesystem::path find_folder(const std::string& path, const CifarLayout& layout,
                                  const std::string& file) {
  const std::filesystem::path inner = std::filesystem::path(path) / layout.usual_folder;
  for (const std::filesystem::path& folder : {std::filesystem::path(path), inner}) {
    if (std::filesystem::exists(folder / file)) return folder;
  }
  throw MissingFileError(path + ": no " + layout.source + " there; looked for " + file + " and " +
                         layout.usual_folder + "/" + file);
}

/// Appends one file's records: planes become interleaved [H,W,3].
void append_records(const CifarLayout& layout, const std::string& path,
                    std::vector<std::uint8_t>& pixels, std::vector<std::uint8_t>& labels) {
  const std::size_t record = layout.label_bytes + 3 * kPlane;
  const std::vector<std::uint8_t> bytes = read_file(path, kMaxBytes);
  if (bytes.empty() || bytes.size() % record != 0) {
    throw DataError(path + ": ends at offset " + std::to_string(bytes.size()) +
                    ", which is no whole number of records of " + std::to_string(record) +
                    " bytes");
  }
  const std::size_t count = bytes.size() / record;
  std::size_t out = pixels.size();
  pixels.resize(out + count * 3 * kPlane);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t label_at = i * record + layout.label_bytes - 1;
    if (bytes[label_at] >= layout.classes) {
      throw DataError(path + ", offset " + std::to_string(label_at) + ": label " +
                      std::to_string(bytes[label_at]) + ", " + layout.source + " has labels 0 to " +
                      std::to_string(layout.classes - 1));
    }
    labels.push_back(bytes[label_at]);
    const std::uint8_t* planes = &bytes[label_at + 1];
    for (std::size_t p = 0; p < kPlane; ++p, out += 3) {
      pixels[out] = planes[p];
      pixels[out + 1] = planes[kPlane + p];
      pixels[out + 2] = planes[2 * kPlane + p];
    }
  }
}

std::unique_ptr<Dataset> open_cifar(const CifarLayout& layout, const DatasetOptions& options) {
  const std::vector<std::string> files =
      options.split == "train" ? layout.train_files : std::vector{layout.val_file};
  const std::filesystem::path folder = find_folder(options.path, layout, files.front());
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
  std::vector<SampleFile> parts;
  for (const std::string& file : files) {
    const std::string path = (folder / file).string();
    parts.push_back({path, static_cast<std::int64_t>(labels.size()), 0,
                     static_cast<std::int64_t>(layout.label_bytes + 3 * kPlane)});
    append_records(layout, path, pixels, labels);
  }

  DatasetInfo info;
  info.source = layout.source;
  info.path = options.path;
  info.split = options.split;
  info.channels = 3;
  info.height = info.width = static_cast<int>(kSide);
  info.classes = layout.classes;
  info.samples = static_cast<std::int64_t>(labels.size());
  const std::string names = (folder / layout.names_file).string();
  if (std::filesystem::exists(names)) {
    info.class_names = read_lines(names);
    if (info.class_names.size() != static_cast<std::size_t>(layout.classes)) {
      throw DataError(names + ": " + std::to_string(info.class_names.size()) + " names for " +
                      std::to_string(layout.classes) + " classes");
    }
  }
  return std::make_unique<MemoryDataset>(std::move(info), std::move(pixels), std::move(labels),
                                         std::move(parts));
}

}  // namespace

std::unique_ptr<Dataset> open_cifar10(const DatasetOptions& options) {
  const CifarLayout layout{"cifar10",
                           "cifar-10-batches-bin",
                           {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                            "data_batch_4.bin", "data_batch_5.bin"},
                           "test_batch.bin",
                           "batches.meta.txt",
                           1,
                           10};
  return open_cifar(layout, options);
}

std::unique_ptr<Dataset> open_cifar100(const DatasetOptions& options) {
  const CifarLayout layout{
      "cifar100", "cifar-100-binary", {"train.bin"}, "test.bin", "fine_label_names.txt", 2, 100};
  return open_cifar(layout, options);
}

}  // namespace lockstep
