#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace lockstep {

/// A PNG file of 8-bit RGB, not compressed. pixels: [height,width,3], fewer than 64 KiB with a byte for each row.
inline std::string png_file(int height, int width, const std::string& pixels) {
  const auto big_endian = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  const auto chunk = [&](const std::string& body) {
    std::uint32_t crc = ~0u;
    for (const char c : body) {
      crc ^= static_cast<unsigned char>(c);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0u);
    }
    return big_endian(static_cast<std::uint32_t>(body.size() - 4)) + body + big_endian(~crc);
  };
  std::string rows;
  for (int y = 0; y < height; ++y)
    rows += '\0' + pixels.substr(static_cast<std::size_t>(3 * width * y),
                                 static_cast<std::size_t>(3 * width));
  std::uint32_t a = 1, b = 0;  // Adler-32
  for (const char c : rows) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  const auto size = static_cast<std::uint16_t>(rows.size());
  std::string data = "\x78\x01\x01";  // one stored block
  for (const int length : {int{size}, ~int{size}}) {
    data += static_cast<char>(length);
    data += static_cast<char>(length >> 8);
  }
  data += rows + big_endian(b << 16 | a);
  const std::string header = big_endian(static_cast<std::uint32_t>(width)) +
                             big_endian(static_cast<std::uint32_t>(height)) +
                             std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR" + header) + chunk("IDAT" + data) + chunk("IEND");
}

}  // namespace lockstep
