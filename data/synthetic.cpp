#include "data/synthetic.h"

#include <algorithm>
#include <utility>

#include "data/error.h"
#include "data/random.h"

namespace lockstep {
namespace {

constexpr int kGrid = 4;

class SyntheticDataset : public Dataset {
 public:
  SyntheticDataset(DatasetInfo info, std::uint64_t seed)
      : Dataset(std::move(info)),
        key_(random_key(seed, RandomUse::kSynthetic)),
        split_(info_.split == "train" ? 1u : 2u) {
    for (int c = 0; c < info_.classes; ++c) {
      RandomStream random(key_, {static_cast<std::uint32_t>(c), 0, 0});
      for (int i = 0; i < kGrid * kGrid * info_.channels; ++i) {
        patterns_.push_back(static_cast<std::uint8_t>(80 + random.below(96)));
      }
    }
  }

  int label(std::int64_t index) const override { return static_cast<int>(index % info_.classes); }

  std::vector<std::uint8_t> encoded(std::int64_t index) const override {
    Image image;
    read(index, image);
    return std::move(image.pixels);
  }

  void read(std::int64_t index, Image& out) const override {
    out.height = info_.height;
    out.width = info_.width;
    out.channels = info_.channels;
    out.pixels.resize(static_cast<std::size_t>(out.height) * static_cast<std::size_t>(out.width) *
                      static_cast<std::size_t>(out.channels));
    const std::uint8_t* pattern =
        patterns_.data() + static_cast<std::ptrdiff_t>(label(index)) * kGrid * kGrid * out.channels;
    const auto number = static_cast<std::uint64_t>(index);
    RandomStream random(key_, {static_cast<std::uint32_t>(number),
                               static_cast<std::uint32_t>(number >> 32), split_});
    std::uint8_t* pixel = out.pixels.data();
    std::uint32_t noise = 0;
    unsigned left = 0;
    for (int y = 0; y < out.height; ++y) {
      const std::uint8_t* cells =
          pattern + std::int64_t{y} * kGrid / out.height * kGrid * out.channels;
      for (int x = 0; x < out.width; ++x) {
        const std::uint8_t* cell = cells + std::int64_t{x} * kGrid / out.width * out.channels;
        for (int c = 0; c < out.channels; ++c) {
          if (left == 0) {
            noise = random.next();
            left = 4;
          }
          // Noise of -80 to 79: the sum stays within 0 to 254.
          *pixel++ = static_cast<std::uint8_t>(cell[c] + (noise & 255u) * 160 / 256 - 80);
          noise >>= 8;
          --left;
        }
      }
    }
  }

 private:
  PhiloxKey key_;
  std::uint32_t split_;                 // third word of the stream; 0 is the class patterns'
  std::vector<std::uint8_t> patterns_;  // [classes, kGrid, kGrid, channels]
};

}  // namespace

std::unique_ptr<Dataset> open_synthetic(const DatasetOptions& options) {
  const bool possible = is_possible_size(options.synthetic_channels, options.synthetic_height,
                                         options.synthetic_width);
  if (options.synthetic_samples < 1 || options.synthetic_classes < 1 || !possible) {
    throw ConfigError(
        "synthetic dataset: samples, classes, height and width must be at least 1, channels 1 to " +
        std::to_string(kMaxChannels) + ", a picture at most " + std::to_string(kMaxImagePixels) +
        " pixels, and four times as many values");
  }
  DatasetInfo info;
  info.source = "synthetic";
  info.path = "synthetic";
  info.split = options.split;
  info.samples = options.synthetic_samples;
  info.classes = options.synthetic_classes;
  info.channels = options.synthetic_channels;
  info.height = options.synthetic_height;
  info.width = options.synthetic_width;
  return std::make_unique<SyntheticDataset>(std::move(info), options.synthetic_seed);
}

}  // namespace lockstep
