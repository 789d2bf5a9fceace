#pragma once
#include <cstdint>
#include <span>

#include "data/dataset.h"

namespace lockstep {

/// EXIF's orientation (tag 0x0112) of a JPEG file: how the camera was held, 1 to 8, 1 is upright. 1 too where there is
/// none or it is damaged. Exif 2.32, 4.6.4; the file's APP1 segment holds a TIFF directory.
int exif_orientation(std::span<const std::uint8_t> jpeg);

/// Whether it exchanges height and width.
inline bool exchanges_sides(int orientation) { return orientation >= 5; }

/// Turns and mirrors the pixels of a picture with that orientation until it is upright. Keeps the memory of one more
/// picture for each thread.
void turn_upright(Image& image, int orientation);

}  // namespace lockstep
