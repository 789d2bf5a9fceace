#include "tests/fuzz/pictures.h"

#include <zlib.h>

#include <stdexcept>

#include "tests/fuzz/format.h"

namespace lockstep::fuzz {
namespace {

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::uint32_t checksum(const std::string& file, std::size_t begin, std::size_t bytes) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(file.data() + begin), static_cast<uInt>(bytes)));
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(checksum(body, 0, body.size()));
}

}  // namespace

std::string picture(const std::string& name) {
  return slurp(LOCKSTEP_SOURCE_DIR "/tests/data/pictures/" + name);
}

std::string png_with(const std::vector<std::pair<std::string, std::string>>& chunks,
                     std::uint8_t colour_type, bool interlaced) {
  std::string header = big_endian(1) + big_endian(1);
  header += {'\x08', static_cast<char>(colour_type), '\0', '\0', interlaced ? '\x01' : '\0'};
  const std::size_t samples[] = {1, 0, 3, 1, 2, 0, 4};
  std::string file = std::string(kSignature) + chunk("IHDR", header);
  for (const auto& [type, data] : chunks) file += chunk(type, data);
  file += chunk("IDAT", deflate_bytes(std::string(1 + samples[colour_type], '\0'), false));
  return file + chunk("IEND", "");
}

void repair_png(std::string& file) {
  if (!file.starts_with(kSignature)) return;
  std::size_t at = kSignature.size();
  while (at + 12 <= file.size()) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      bytes = bytes << 8 | static_cast<unsigned char>(file[at + i]);
    }
    if (bytes > file.size() - at - 12) return;
    file.replace(at + 8 + bytes, 4, big_endian(checksum(file, at + 4, bytes + 4)));
    at += bytes + 12;
  }
}

std::string deflate_bytes(const std::string& bytes, bool gzip) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, gzip ? 15 + 16 : 15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("zlib: deflateInit2 failed");
  }
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int status = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("zlib: deflate failed");
  return packed;
}

}  // namespace lockstep::fuzz
