#include "data/dataset.h"

#include "data/error.h"
#include "data/files.h"
#include "data/image_file.h"
#include "data/image_folder.h"
#include "data/mask_folder.h"
#include "data/memory_dataset.h"
#include "data/packed.h"
#include "data/synthetic.h"

namespace lockstep {

void Dataset::decode(std::span<const std::uint8_t> encoded, Image& out) const {
  decode_sample(info_, encoded, out);
}

void Dataset::read(std::int64_t index, Image& out) const {
  const std::vector<std::uint8_t> bytes = encoded(index);
  try {
    decode(bytes, out);
  } catch (const DataError& error) {
    throw DataError(where(index) + ": " + error.what());
  }
}

bool is_possible_size(int channels, std::int64_t height, std::int64_t width) {
  return channels >= 1 && channels <= kMaxChannels && height >= 1 && width >= 1 &&
         height <= kMaxImagePixels / width && height * width <= 4 * kMaxImagePixels / channels;
}

void Dataset::read_reduced(std::int64_t index, Image& out, const LeastScale& least_scale) const {
  if (info_.format != SampleFormat::kImageFile || info_.masks) return read(index, out);
  const std::vector<std::uint8_t> bytes = encoded(index);
  try {
    decode_image_file(bytes, out, least_scale);
  } catch (const DataError& error) {
    throw DataError(where(index) + ": " + error.what());
  }
}

std::uint64_t Dataset::encoded_bytes(std::int64_t index) const {
  if (info_.format != SampleFormat::kRaw) return encoded(index).size();
  return static_cast<std::uint64_t>(info_.height) * static_cast<std::uint64_t>(info_.width) *
         static_cast<std::uint64_t>(info_.channels + (info_.masks ? 1 : 0));
}

std::uint64_t Dataset::checksum(std::int64_t index) const {
  const std::vector<std::uint8_t> bytes = encoded(index);
  return hash64(std::as_bytes(std::span(bytes)));
}

std::string Dataset::where(std::int64_t index) const {
  return info_.path + ", sample " + std::to_string(index);
}

namespace {

/// Checks the labels of a decoded mask; those of no class become kNoLabel.
void settle_labels(const DatasetInfo& info, Image& image) {
  for (std::size_t i = 0; i < image.mask.size(); ++i) {
    std::uint8_t& label = image.mask[i];
    if (label == info.ignore_label) {
      label = kNoLabel;
    } else if (label >= info.classes) {
      const auto width = static_cast<std::size_t>(image.width);
      throw DataError("the mask's pixel in row " + std::to_string(i / width) + ", column " +
                      std::to_string(i % width) + " has label " + std::to_string(label) +
                      "; classes are 0 to " + std::to_string(info.classes - 1) +
                      ": set data.ignore_label if it is no class, or data.classes");
    }
  }
}

/// Picture and mask files, one behind the other.
void decode_files(const DatasetInfo& info, std::span<const std::uint8_t> encoded, Image& out) {
  if (!info.masks) return decode_image_file(encoded, out);
  std::size_t picture = 0;
  for (std::size_t i = 0; i < 4 && i < encoded.size(); ++i)
    picture |= std::size_t{encoded[i]} << (8 * i);
  if (encoded.size() < 4 || picture > encoded.size() - 4)
    throw DataError("a picture and its mask are cut short");
  decode_image_file(encoded.subspan(4, picture), out, nullptr, Orientation::kAsStored);
  decode_mask_file(encoded.subspan(4 + picture), out);
  settle_labels(info, out);
}

}  // namespace

void decode_sample(const DatasetInfo& info, std::span<const std::uint8_t> encoded, Image& out) {
  if (info.format == SampleFormat::kImageFile) return decode_files(info, encoded, out);
  const std::int64_t pixels = std::int64_t{info.height} * info.width;
  const std::int64_t expected = pixels * (info.channels + (info.masks ? 1 : 0));
  if (static_cast<std::int64_t>(encoded.size()) != expected) {
    throw DataError("a raw picture of " + std::to_string(info.height) + " x " +
                    std::to_string(info.width) + " x " + std::to_string(info.channels) + " has " +
                    std::to_string(expected) + " bytes, this one has " +
                    std::to_string(encoded.size()));
  }
  out.height = info.height;
  out.width = info.width;
  out.channels = info.channels;
  const auto mask = encoded.begin() + pixels * info.channels;
  out.pixels.assign(encoded.begin(), mask);
  out.mask.assign(mask, encoded.end());
  settle_labels(info, out);
}

std::unique_ptr<Dataset> open_dataset(const DatasetOptions& options) {
  if (options.split != "train" && options.split != "val") {
    throw ConfigError("dataset split '" + options.split + "' is not known: use train or val");
  }
  if (options.source == "synthetic") return open_synthetic(options);
  if (options.source == "synthetic_masks") return open_synthetic_masks(options);
  if (options.path.empty()) {
    if (options.source == "folder") return open_image_folder(options);
    throw ConfigError("dataset source '" + options.source + "' needs a path");
  }
  if (options.source == "idx") return open_idx(options);
  if (options.source == "cifar10") return open_cifar10(options);
  if (options.source == "cifar100") return open_cifar100(options);
  if (options.source == "folder") return open_image_folder(options);
  if (options.source == "masks") return open_mask_folder(options);
  if (options.source == "packed") return open_packed(options);
  throw ConfigError(
      "dataset source '" + options.source +
      "' is not known: use idx, cifar10, cifar100, folder, masks, packed, synthetic or "
      "synthetic_masks");
}

std::vector<std::int64_t> class_counts(const Dataset& dataset,
                                       std::span<const std::int64_t> samples) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(dataset.info().classes));
  for (const std::int64_t sample : samples) {
    ++counts.at(static_cast<std::size_t>(dataset.label(sample)));
  }
  return counts;
}

}  // namespace lockstep
