// IDX, the format of the MNIST family (http://yann.lecun.com/exdb/mnist): two zero bytes, the type
// (8 is unsigned byte), the number of dimensions, each dimension as 4 bytes big endian, then the
// values.
#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

#include "data/error.h"
#include "data/memory_dataset.h"
#include "data/read_file.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{16} << 30;

struct IdxFile {
  std::string path;
  std::vector<std::int64_t> dims;
  std::size_t header_bytes = 0;
  std::vector<std::uint8_t> bytes;  // header and values
};

IdxFile read_idx(const std::string& path) {
  IdxFile file{path, {}, 4, read_file_unpacked(path, kMaxBytes)};
  const std::vector<std::uint8_t>& bytes = file.bytes;
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0) {
    throw DataError(path + ", offset 0: not an IDX file (it starts with two zero bytes)");
  }
  if (bytes[2] != 8) {
    throw DataError(path + ", offset 2: values of type " + std::to_string(bytes[2]) +
                    "; only type 8 (unsigned byte) is read");
  }
  const std::size_t rank = bytes[3];
  file.header_bytes = 4 + 4 * rank;
  if (bytes.size() < file.header_bytes) {
    throw DataError(path + ": ends inside its header, at offset " + std::to_string(bytes.size()));
  }
  std::int64_t values = 1;
  for (std::size_t d = 0; d < rank; ++d) {
    const std::uint8_t* at = &bytes[4 + 4 * d];
    const std::int64_t dim = (std::int64_t{at[0]} << 24) | (at[1] << 16) | (at[2] << 8) | at[3];
    if (dim <= 0 || dim > kMaxBytes / values) {
      throw DataError(path + ", offset " + std::to_string(4 + 4 * d) + ": dimension " +
                      std::to_string(d) + " is " + std::to_string(dim));
    }
    file.dims.push_back(dim);
    values *= dim;
  }
  const auto expected = static_cast<std::int64_t>(file.header_bytes) + values;
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (size != expected) {
    throw DataError(path + (size < expected ? ": ends at offset " : ": goes on to offset ") +
                    std::to_string(size) + ", its header says " + std::to_string(expected));
  }
  return file;
}

/// The first of `names`, with or without .gz, that lies in `folder`.
std::string find_file(const std::string& folder, const std::vector<std::string>& names) {
  std::string looked;
  for (const std::string& name : names) {
    for (const char* ending : {"", ".gz"}) {
      const std::string path = (std::filesystem::path(folder) / (name + ending)).string();
      if (std::filesystem::exists(path)) return path;
    }
    looked += (looked.empty() ? "" : ", ") + name + "[.gz]";
  }
  throw MissingFileError(folder + ": no IDX file there; looked for " + looked);
}

/// Pictures are of 3 dimensions or, with channels, of 4.
std::vector<std::string> usual_names(const std::string& split, const std::string& what) {
  std::vector<std::string> names;
  for (const char* dims : {"1", "3", "4"}) {
    if ((what == "labels") != (dims == std::string("1"))) continue;
    for (const char* prefix : {"train", "training", "t10k", "test", "val"})
      if ((split == "train") == std::string_view(prefix).starts_with("train"))
        names.push_back(std::string(prefix) + "-" + what + "-idx" + dims + "-ubyte");
  }
  return names;
}

IdxFile read_images(const std::string& path) {
  IdxFile images = read_idx(path);
  if (images.dims.size() == 3) images.dims.push_back(1);
  if (images.dims.size() != 4 || images.dims[3] > kMaxChannels) {
    throw DataError(path + ", offset 3: images are [N,H,W] or [N,H,W,C], C at most " +
                    std::to_string(kMaxChannels) + "; this has " + std::to_string(images.bytes[3]) +
                    " dimensions" +
                    (images.dims.size() == 4 ? ", C " + std::to_string(images.dims[3]) : ""));
  }
  if (!is_possible_size(static_cast<int>(images.dims[3]), images.dims[1], images.dims[2])) {
    throw DataError(path + ", offset 8: pictures of " + std::to_string(images.dims[1]) + " x " +
                    std::to_string(images.dims[2]) + " pixels are larger than is accepted");
  }
  return images;
}

IdxFile read_labels(const std::string& path) {
  IdxFile labels = read_idx(path);
  if (labels.dims.size() != 1) {
    throw DataError(path + ", offset 3: labels have 1 dimension, this has " +
                    std::to_string(labels.dims.size()));
  }
  return labels;
}

int largest_label(const IdxFile& labels) {
  const auto first = labels.bytes.begin() + static_cast<std::ptrdiff_t>(labels.header_bytes);
  return *std::max_element(first, labels.bytes.end());
}

}  // namespace

std::unique_ptr<Dataset> open_idx(const DatasetOptions& options) {
  if (options.images_file.empty() != options.labels_file.empty()) {
    throw ConfigError("idx: name both the images and the labels file, or none");
  }
  const bool usual = options.images_file.empty();
  const std::filesystem::path folder(options.path);
  const std::string images_path =
      usual ? find_file(options.path, usual_names(options.split, "images"))
            : (folder / options.images_file).string();
  const std::string labels_path =
      usual ? find_file(options.path, usual_names(options.split, "labels"))
            : (folder / options.labels_file).string();
  IdxFile images = read_images(images_path);
  IdxFile labels = read_labels(labels_path);
  if (images.dims[0] != labels.dims[0]) {
    throw DataError(labels_path + ", offset 4: " + std::to_string(labels.dims[0]) +
                    " labels for the " + std::to_string(images.dims[0]) + " images of " +
                    images_path);
  }
  int classes = largest_label(labels) + 1;
  if (usual && options.split == "val") {  // training knows the classes; a small split may miss one
    const int known =
        largest_label(read_labels(find_file(options.path, usual_names("train", "labels")))) + 1;
    if (classes > known) {
      throw DataError(labels_path + ": label " + std::to_string(classes - 1) +
                      " does not occur in training, whose largest is " + std::to_string(known - 1));
    }
    classes = known;
  }

  DatasetInfo info;
  info.source = "idx";
  info.path = options.path;
  info.split = options.split;
  info.samples = images.dims[0];
  info.height = static_cast<int>(images.dims[1]);
  info.width = static_cast<int>(images.dims[2]);
  info.channels = static_cast<int>(images.dims[3]);
  info.classes = classes;
  const auto header = static_cast<std::ptrdiff_t>(images.header_bytes);
  images.bytes.erase(images.bytes.begin(), images.bytes.begin() + header);
  labels.bytes.erase(labels.bytes.begin(),
                     labels.bytes.begin() + static_cast<std::ptrdiff_t>(labels.header_bytes));
  const SampleFile where{images_path, 0, header, images.dims[1] * images.dims[2] * images.dims[3]};
  return std::make_unique<MemoryDataset>(std::move(info), std::move(images.bytes),
                                         std::move(labels.bytes), std::vector{where});
}

}  // namespace lockstep
