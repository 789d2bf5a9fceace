#include "data/exif.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

namespace lockstep {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// Numbers of a TIFF block, in its byte order. Beyond its end there is nothing.
class Tiff {
 public:
  explicit Tiff(Bytes block) : block_(block), little_(!block.empty() && block[0] == 'I') {}

  std::optional<std::uint32_t> number(std::size_t at, std::size_t bytes) const {
    if (at > block_.size() || block_.size() - at < bytes) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      value = value << 8 | block_[at + (little_ ? bytes - 1 - i : i)];
    return value;
  }

 private:
  Bytes block_;
  bool little_;
};

int orientation_of(Bytes block) {
  constexpr std::uint32_t kTag = 0x0112, kShort = 3;
  constexpr std::size_t kEntryBytes = 12;
  const bool has_order =
      block.size() >= 2 && block[0] == block[1] && (block[0] == 'I' || block[0] == 'M');
  const Tiff tiff(block);
  if (!has_order || tiff.number(2, 2) != 42u) return 1;
  const auto directory = tiff.number(4, 4);
  const auto entries = directory ? tiff.number(*directory, 2) : std::nullopt;
  for (std::size_t i = 0; entries && i < *entries; ++i) {
    const std::size_t at = std::size_t{*directory} + 2 + i * kEntryBytes;
    const auto tag = tiff.number(at, 2);
    if (!tag) break;
    if (*tag != kTag || tiff.number(at + 2, 2) != kShort) continue;
    const auto value = tiff.number(at + 8, 2);
    return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
  }
  return 1;
}

}  // namespace

int exif_orientation(Bytes jpeg) {
  constexpr std::array<std::uint8_t, 6> kExif{'E', 'x', 'i', 'f', 0, 0};
  // Segments: FF, marker, length with itself (2 bytes, the higher first), content; up to the scan (DA).
  for (std::size_t at = 2; at + 4 <= jpeg.size() && jpeg[at] == 0xFF;) {
    const std::uint8_t marker = jpeg[at + 1];
    if (marker == 0xFF) {  // filling
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) break;
    const std::size_t length = std::size_t{jpeg[at + 2]} << 8 | jpeg[at + 3];
    if (length < 2 || length > jpeg.size() - at - 2) break;
    const Bytes content = jpeg.subspan(at + 4, length - 2);
    if (marker == 0xE1 && content.size() >= kExif.size() &&
        std::equal(kExif.begin(), kExif.end(), content.begin()))
      return orientation_of(content.subspan(kExif.size()));
    at += 2 + length;
  }
  return 1;
}

void turn_upright(Image& image, int orientation) {
  if (orientation <= 1) return;
  const std::ptrdiff_t channels = image.channels, row = image.width * channels;
  // to the last row, the last column
  const std::ptrdiff_t down = row * (image.height - 1), right = row - channels;
  // In the stored pixels: where the upright picture's first is, and the steps to its next and the
  // one below.
  struct Walk {
    std::ptrdiff_t first, along_row, along_column;
  };
  const Walk walk = [&]() -> Walk {
    switch (orientation) {
      case 2:
        return {right, -channels, row};
      case 3:
        return {down + right, -channels, -row};
      case 4:
        return {down, channels, -row};
      case 5:
        return {0, row, channels};
      case 6:
        return {down, -row, channels};
      case 7:
        return {down + right, -row, -channels};
      default:
        return {right, row, -channels};
    }
  }();
  static thread_local std::vector<std::uint8_t> upright;
  upright.resize(image.pixels.size());
  if (exchanges_sides(orientation)) std::swap(image.height, image.width);
  std::uint8_t* dst = upright.data();
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* src = image.pixels.data() + walk.first + y * walk.along_column;
    for (int x = 0; x < image.width; ++x, src += walk.along_row, dst += channels)
      std::memcpy(dst, src, static_cast<std::size_t>(channels));
  }
  image.pixels.swap(upright);
}

}  // namespace lockstep
