// IDX (images and labels; also gzip) and CIFAR (records and names of classes). Modes: IDX 1: the
// files are named in the job; CIFAR 0: CIFAR-10, 1: CIFAR-100.
#include "data/dataset.h"
#include "tests/fuzz/format.h"
#include "tests/fuzz/pictures.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

std::string idx_file(const std::vector<int>& dims, int modulus) {
  std::string file = {'\0', '\0', '\x08', static_cast<char>(dims.size())};
  int values = 1;
  for (const int dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(dim >> shift);
    values *= dim;
  }
  for (int i = 0; i < values; ++i) file += static_cast<char>(i % modulus);
  return file;
}

/// Every sample must be of the size that the set says, and of one of its classes.
void read_all(const Dataset& dataset) {
  const DatasetInfo& info = dataset.info();
  Image image;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    dataset.read(i, image);
    const bool fits = image.height == info.height && image.width == info.width &&
                      image.channels == info.channels &&
                      image.pixels.size() == static_cast<std::size_t>(info.height) *
                                                 static_cast<std::size_t>(info.width) *
                                                 static_cast<std::size_t>(info.channels);
    if (!fits) throw Finding("a sample that is not of its set's size");
    if (dataset.label(i) < 0 || dataset.label(i) >= info.classes) {
      throw Finding("a sample of no class");
    }
  }
}

class IdxFormat : public Format {
 public:
  // What gzip may unpack to (data/read_file.cpp), and its copy when the memory grows.
  IdxFormat() : Format("idx", 2, 2, {std::uint64_t{512} << 20, 128}) {
    const std::string grey = idx_file({5, 6, 4}, 251), colour = idx_file({5, 3, 2, 3}, 256);
    const std::string labels = idx_file({5}, 4);
    originals_ = {{0, {grey, labels}},
                  {1, {colour, labels}},
                  {0, {deflate_bytes(grey, true), deflate_bytes(labels, true)}},
                  {1, {deflate_bytes(idx_file({4000, 8, 8}, 1), true), idx_file({4000}, 10)}}};
    vocabulary_.marks = {std::string("\0\0\x08", 3), "\x1f\x8b"};
    vocabulary_.words = {std::string("\0\0\x08\x01", 4), std::string("\0\0\x08\x04", 4),
                         "\x1f\x8b\x08", std::string("\0\0\0\x01", 4)};
  }

  void read(const Input& input, const fs::path& folder) const override {
    constexpr const char* kNames[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"};
    for (std::size_t f = 0; f < 2; ++f) spill(folder / kNames[f], input.files[f], input.mode);
    DatasetOptions options{.source = "idx", .path = folder.string()};
    if (input.mode & 1) {
      options.images_file = kNames[0];
      options.labels_file = kNames[1];
    }
    read_all(*open_dataset(options));
  }
};

class CifarFormat : public Format {
 public:
  CifarFormat() : Format("cifar", 2, 2, {std::uint64_t{16} << 20, 16}) {
    for (const std::uint8_t mode : {std::uint8_t{0}, std::uint8_t{1}}) {
      std::string records, names;
      for (int i = 0; i < 4; ++i) {
        records += std::string(mode == 1 ? 2 : 1, static_cast<char>(i)) + std::string(3072, 'p');
      }
      for (int i = 0; i < (mode == 1 ? 100 : 10); ++i) names += "class" + std::to_string(i) + "\n";
      originals_.push_back({mode, {records, names}});
    }
    vocabulary_.words = {"\n", "\n\n", "class", std::string(3073, '\x01'),
                         std::string(3074, '\x63')};
  }

  void read(const Input& input, const fs::path& folder) const override {
    const bool hundred = (input.mode & 1) != 0;
    const fs::path inside = folder / (hundred ? "cifar-100-binary" : "cifar-10-batches-bin");
    fs::create_directories(inside);
    spill(inside / (hundred ? "test.bin" : "test_batch.bin"), input.files[0], input.mode);
    spill(inside / (hundred ? "fine_label_names.txt" : "batches.meta.txt"), input.files[1],
          input.mode);
    DatasetOptions options{.source = hundred ? "cifar100" : "cifar10", .path = folder.string()};
    options.split = "val";
    read_all(*open_dataset(options));
  }
};

}  // namespace

std::unique_ptr<Format> make_idx_format() { return std::make_unique<IdxFormat>(); }
std::unique_ptr<Format> make_cifar_format() { return std::make_unique<CifarFormat>(); }

}  // namespace lockstep::fuzz
