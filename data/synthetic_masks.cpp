#include <algorithm>
#include <utility>

#include "data/error.h"
#include "data/random.h"
#include "data/synthetic.h"

namespace lockstep {
namespace {

constexpr int kMostShapes = 5;

/// A disc (in its rectangle) or a rectangle.
struct Drawn {
  int label, top, left, height, width;
  bool disc;

  bool holds(int y, int x) const {
    if (y < top || y >= top + height || x < left || x >= left + width) return false;
    if (!disc) return true;
    const double dy = (y + 0.5 - top) / height - 0.5, dx = (x + 0.5 - left) / width - 0.5;
    return dy * dy + dx * dx < 0.25;
  }
};

class SyntheticMasks : public Dataset {
 public:
  SyntheticMasks(DatasetInfo info, std::uint64_t seed)
      : Dataset(std::move(info)),
        key_(random_key(seed, RandomUse::kSynthetic)),
        split_(info_.split == "train" ? 1u : 2u) {
    RandomStream random(key_, {0, 0, 0});
    for (int i = 0; i < info_.classes * info_.channels; ++i)
      colours_.push_back(static_cast<std::uint8_t>(48 + random.below(160)));
  }

  int label(std::int64_t) const override { return 0; }

  std::vector<std::uint8_t> encoded(std::int64_t index) const override {
    const auto number = static_cast<std::uint64_t>(index);
    RandomStream random(key_, {static_cast<std::uint32_t>(number),
                               static_cast<std::uint32_t>(number >> 32), split_});
    const std::vector<Drawn> shapes = draw(random);
    const std::size_t pixels =
        static_cast<std::size_t>(info_.height) * static_cast<std::size_t>(info_.width);
    const auto channels = static_cast<std::size_t>(info_.channels);
    std::vector<std::uint8_t> bytes(pixels * (channels + 1));
    for (int y = 0; y < info_.height; ++y) {
      for (int x = 0; x < info_.width; ++x) {
        const auto at = static_cast<std::size_t>(y) * static_cast<std::size_t>(info_.width) +
                        static_cast<std::size_t>(x);
        int label = 0;  // the last one lies on top
        for (const Drawn& shape : shapes)
          if (shape.holds(y, x)) label = shape.label;
        bytes[pixels * channels + at] = static_cast<std::uint8_t>(label);
        for (std::size_t c = 0; c < channels; ++c) {
          const int colour = colours_[static_cast<std::size_t>(label) * channels + c];
          const int noise = static_cast<int>(random.below(97)) - 48;
          bytes[at * channels + c] = static_cast<std::uint8_t>(colour + noise);
        }
      }
    }
    return bytes;
  }

 private:
  std::vector<Drawn> draw(RandomStream& random) const {
    const auto below = [&](int n) {
      return static_cast<int>(random.below(static_cast<std::uint64_t>(n)));
    };
    std::vector<Drawn> shapes(static_cast<std::size_t>(1 + below(kMostShapes)));
    for (Drawn& shape : shapes) {
      shape.label = 1 + below(info_.classes - 1);
      shape.height = std::max(1, info_.height / 8 + below(info_.height / 2 + 1));
      shape.width = std::max(1, info_.width / 8 + below(info_.width / 2 + 1));
      shape.top = below(info_.height) - shape.height / 2;
      shape.left = below(info_.width) - shape.width / 2;
      shape.disc = below(2) == 1;
    }
    return shapes;
  }

  PhiloxKey key_;
  std::uint32_t split_;                // third word of the stream; 0 is the colours'
  std::vector<std::uint8_t> colours_;  // [classes, channels], 48 to 207: noise keeps them in a byte
};

}  // namespace

std::unique_ptr<Dataset> open_synthetic_masks(const DatasetOptions& options) {
  const bool possible = is_possible_size(options.synthetic_channels, options.synthetic_height,
                                         options.synthetic_width);
  if (options.synthetic_samples < 1 || options.synthetic_classes < 2 ||
      options.synthetic_classes > kNoLabel || !possible) {
    throw ConfigError(
        "synthetic masks: samples, height and width must be at least 1, classes 2 to 255, channels "
        "1 to " +
        std::to_string(kMaxChannels) + ", a picture at most " + std::to_string(kMaxImagePixels) +
        " pixels, and four times as many values");
  }
  DatasetInfo info;
  info.source = "synthetic_masks";
  info.path = "synthetic_masks";
  info.split = options.split;
  info.masks = true;
  info.samples = options.synthetic_samples;
  info.classes = options.synthetic_classes;
  info.channels = options.synthetic_channels;
  info.height = options.synthetic_height;
  info.width = options.synthetic_width;
  return std::make_unique<SyntheticMasks>(std::move(info), options.synthetic_seed);
}

}  // namespace lockstep
