#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lockstep::fuzz {

/// One of tests/data/pictures.
std::string picture(const std::string& name);

/// A 1 x 1 PNG with chunks (type, data) between its header and its pixel.
std::string png_with(const std::vector<std::pair<std::string, std::string>>& chunks,
                     std::uint8_t colour_type, bool interlaced);

/// Gives every chunk of a PNG the checksum of what it holds now.
void repair_png(std::string& file);

/// zlib's format, or gzip's.
std::string deflate_bytes(const std::string& bytes, bool gzip);

}  // namespace lockstep::fuzz
