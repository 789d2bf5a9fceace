#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lockstep {

/// 8-bit picture, interleaved [H,W,C]; 1 channel is greyscale, 3 are R,G,B, any other number are bands.
struct Image {
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> mask;  // the class of every pixel, [H,W], or kNoLabel; empty: none
};

/// Of a pixel that belongs to no class: nothing is learned from it, and nothing measured.
inline constexpr std::uint8_t kNoLabel = 255;

/// A picture with more pixels than this is refused before memory is taken for it.
inline constexpr std::int64_t kMaxImagePixels = std::int64_t{64} << 20;
inline constexpr int kMaxChannels = 1024;

/// Whether a picture of raw pixels may be so large: at most kMaxImagePixels, and four times as many values.
bool is_possible_size(int channels, std::int64_t height, std::int64_t width);

struct DatasetOptions {
  std::string source;  // idx | cifar10 | cifar100 | folder | masks | packed | synthetic[_masks]
  std::string path;    // folder of the files (packed: the file); unused by synthetic
  std::string split = "train";  // train | val
  // idx: explicit files, relative to `path`, instead of the usual names. Both or none.
  std::string images_file;
  std::string labels_file;
  int classes = 0;        // masks: how many there are; 0: as the training masks have
  int ignore_label = -1;  // masks: the value of pixels without a class; -1: there are none
  // synthetic: each class has its own coarse pattern under noise, so a model can learn it.
  int synthetic_samples = 1024;
  int synthetic_classes = 10;
  int synthetic_channels = 3;
  int synthetic_height = 32;
  int synthetic_width = 32;
  std::uint64_t synthetic_seed = 1;
};

/// How a sample's bytes are stored.
enum class SampleFormat {
  kRaw,        // pixels [H,W,C] of the sizes in DatasetInfo
  kImageFile,  // a whole JPEG or PNG file
};

struct DatasetInfo {
  std::string source;
  std::string origin;  // the source that a packed set was made of; empty for the others
  std::string path;
  std::string split;
  SampleFormat format = SampleFormat::kRaw;
  int channels = 0;  // 0: varies by sample; so do height and width
  int height = 0;
  int width = 0;
  int classes = 0;
  bool masks = false;     // every pixel has a label. kRaw: the mask [H,W] follows the pixels.
                          // kImageFile: the picture's bytes (4, little-endian), picture, mask (PNG)
  int ignore_label = -1;  // in masks: of pixels without a class
  std::vector<std::string> class_names;  // empty: not known
  std::int64_t samples = 0;
  std::vector<std::string> warnings = {};  // of opening it: files that were passed over
};

/// The part of its size, in (0, 1], that a picture of height x width must keep when it is decoded.
using LeastScale = std::function<double(int height, int width)>;

/// Labelled pictures, numbered 0 to size()-1. All const methods are safe to call from many threads.
/// Reading is cut in two, encoded() and decode(), so that samples can be packed into a file or sent
/// to another rank as they are stored and be decoded there.
class Dataset {
 public:
  virtual ~Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const DatasetInfo& info() const { return info_; }
  std::int64_t size() const { return info_.samples; }

  /// In [0, classes); 0 where pixels have labels.
  virtual int label(std::int64_t index) const = 0;

  /// The sample's bytes in info().format. @throws MissingFileError, IoError, DataError.
  virtual std::vector<std::uint8_t> encoded(std::int64_t index) const = 0;

  /// Bytes of encoded() -> picture. Needs nothing but info(). @throws DataError.
  virtual void decode(std::span<const std::uint8_t> encoded, Image& out) const;

  /// encoded() and decode(); an error names the sample. `out` keeps its memory between calls.
  virtual void read(std::int64_t index, Image& out) const;

  /// As read(), but a large JPEG may come out smaller: see decode_image_file.
  void read_reduced(std::int64_t index, Image& out, const LeastScale& least_scale) const;

  /// Name of the sample's file, or files, relative to the data set's folder; "" where samples have none of their own.
  virtual std::string file_name(std::int64_t) const { return ""; }

  /// How many bytes encoded() gives. By default it asks encoded(), unless info() tells.
  virtual std::uint64_t encoded_bytes(std::int64_t index) const;

  /// xxh3-64 of encoded().
  virtual std::uint64_t checksum(std::int64_t index) const;

  /// Whether checksum() reads no file: samples are in memory, or their checksums are.
  virtual bool has_checksums() const { return false; }

  /// Where the sample is stored, for messages: file, file and offset in bytes, or path and number.
  virtual std::string where(std::int64_t index) const;

 protected:
  explicit Dataset(DatasetInfo info) : info_(std::move(info)) {}

  DatasetInfo info_;
};

/// Opens one split. Files are looked for, read or listed, and checked: counts, sizes, label ranges.
/// @throws ConfigError on an unknown source or split, MissingFileError naming what was looked for,
///         DataError naming file and offset.
std::unique_ptr<Dataset> open_dataset(const DatasetOptions& options);

/// Bytes in `info.format` -> picture; what Dataset::decode does. @throws DataError.
void decode_sample(const DatasetInfo& info, std::span<const std::uint8_t> encoded, Image& out);

/// How many samples of each class there are among `samples` (a shard): logged per rank, to see
/// skew.
std::vector<std::int64_t> class_counts(const Dataset& dataset,
                                       std::span<const std::int64_t> samples);

}  // namespace lockstep
