#include "data/read_file.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <sstream>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMaxTextBytes = std::int64_t{1} << 20;
// gzip can make 1000 bytes of one; pictures are a few times smaller packed than unpacked.
constexpr std::int64_t kMostInflation = 64, kAlwaysUnpacked = std::int64_t{256} << 20;

/// Ends zlib's stream however the function is left.
struct Inflater {
  z_stream stream{};
  Inflater() {
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw InternalError("zlib: inflateInit2 failed");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

[[noreturn]] void throw_too_long(const std::string& path, std::int64_t max_bytes) {
  throw DataError(path + ": longer than the " + std::to_string(max_bytes) +
                  " bytes that are accepted here");
}

std::vector<std::uint8_t> inflate_gzip(const std::string& path,
                                       const std::vector<std::uint8_t>& packed,
                                       std::int64_t max_bytes) {
  Inflater inflater;
  z_stream& stream = inflater.stream;
  std::vector<std::uint8_t> bytes;
  std::size_t read = 0;
  std::size_t written = 0;
  while (true) {
    if (written == bytes.size()) {
      if (static_cast<std::int64_t>(written) > max_bytes) throw_too_long(path, max_bytes);
      const std::size_t limit = static_cast<std::size_t>(max_bytes) + 1;  // one more: to see excess
      bytes.resize(std::min(limit, std::max<std::size_t>(std::size_t{1} << 20, bytes.size() * 2)));
    }
    const auto input = static_cast<uInt>(std::min<std::size_t>(packed.size() - read, 1u << 30));
    const auto space = static_cast<uInt>(std::min<std::size_t>(bytes.size() - written, 1u << 30));
    stream.next_in = const_cast<Bytef*>(packed.data() + read);
    stream.avail_in = input;
    stream.next_out = bytes.data() + written;
    stream.avail_out = space;
    const int status = inflate(&stream, Z_NO_FLUSH);
    read += input - stream.avail_in;
    written += space - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (read == packed.size()) break;
      if (inflateReset(&stream) != Z_OK) throw InternalError("zlib: inflateReset failed");
      continue;  // gzip files may be concatenated
    }
    if (status == Z_BUF_ERROR && read == packed.size()) {
      throw DataError(path + ": gzip data end too early, at offset " + std::to_string(read) +
                      " of the file: copy it again");
    }
    if (status != Z_OK) {
      throw DataError(path + ": damaged gzip data near offset " + std::to_string(read) + " (" +
                      (stream.msg != nullptr ? stream.msg : "no detail") + "): copy it again");
    }
  }
  if (static_cast<std::int64_t>(written) > max_bytes) throw_too_long(path, max_bytes);
  bytes.resize(written);
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::string& path, std::int64_t max_bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw MissingFileError(path + ": no such file");
  if (!std::filesystem::is_regular_file(status)) throw DataError(path + ": not a regular file");
  const OpenFile file = OpenFile::for_reading(path);
  const std::uint64_t size = file.bytes();
  if (size > static_cast<std::uint64_t>(max_bytes)) throw_too_long(path, max_bytes);
  std::vector<std::uint8_t> bytes(size);
  const std::size_t got = file.read_at(0, std::as_writable_bytes(std::span(bytes)));
  if (got != bytes.size()) {
    throw IoError(path + ": ends at offset " + std::to_string(got) + ", it had " +
                  std::to_string(size) + " bytes when it was opened");
  }
  return bytes;
}

std::uint64_t file_bytes(const std::string& path) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory)
    throw MissingFileError(path + ": does not exist");
  if (error) throw IoError(path + ": cannot be measured: " + error.message());
  return bytes;
}

std::vector<std::uint8_t> read_file_unpacked(const std::string& path, std::int64_t max_bytes) {
  std::vector<std::uint8_t> bytes = read_file(path, max_bytes);
  const bool gzip = bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
  if (!gzip) return bytes;
  const std::int64_t plausible =
      kAlwaysUnpacked + kMostInflation * static_cast<std::int64_t>(bytes.size());
  return inflate_gzip(path, bytes, std::min(max_bytes, plausible));
}

std::vector<std::string> read_lines(const std::string& path) {
  const std::vector<std::uint8_t> bytes = read_file(path, kMaxTextBytes);
  std::istringstream text(std::string(bytes.begin(), bytes.end()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace lockstep
