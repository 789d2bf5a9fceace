#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "data/dataset.h"

namespace lockstep {

enum class Orientation {
  kUpright,   // turned and mirrored as a JPEG's EXIF says that it was taken
  kAsStored,  // the pixels that a mask lies over
};

/// Decodes a JPEG or PNG file, told apart by its first bytes. Grey pictures have 1 channel, all
/// others 3: palettes, CMYK and 16 bits become 8-bit RGB, transparency is dropped. `out` keeps its
/// memory. Height and width, also those that `least_scale` gets, are of the picture as `orientation` asks for it.
/// Where `least_scale` is given, a JPEG may come out at 1/2, 1/4 or 1/8 of its size,
/// whichever is still at least least_scale(height, width) of it: that is several times faster,
/// since the rest is never decoded.
/// @throws DataError on files that are damaged, cut short, larger than kMaxImagePixels, or of
/// another format;
///         ConfigError where this build cannot read the format.
void decode_image_file(std::span<const std::uint8_t> file, Image& out,
                       const LeastScale& least_scale = nullptr,
                       Orientation orientation = Orientation::kUpright);

/// Decodes a PNG whose pixels are labels into out.mask: 8-bit grey, or the indices of an 8-bit
/// palette. It must be as large as the picture in `out`. @throws as above.
void decode_mask_file(std::span<const std::uint8_t> file, Image& out);

/// @throws ConfigError where this build cannot read files with this ending (".jpg", ".jpeg",
/// ".png").
void require_codec(const std::string& ending);

}  // namespace lockstep
