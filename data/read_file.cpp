#include "data/read_file.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>

#include "data/error.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMaxTextBytes = std::int64_t{1} << 20;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

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
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) throw IoError(path + ": cannot be opened: " + std::strerror(errno));
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (error) throw IoError(path + ": size cannot be read: " + error.message());
  if (size > max_bytes) throw_too_long(path, max_bytes);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (got != bytes.size()) {
    throw IoError(
        path + ": reading stopped at offset " + std::to_string(got) + " of " +
        std::to_string(size) + ": " +
        (std::ferror(file.get()) != 0 ? std::strerror(errno) : "the file became shorter"));
  }
  return bytes;
}

std::vector<std::uint8_t> read_file_unpacked(const std::string& path, std::int64_t max_bytes) {
  std::vector<std::uint8_t> bytes = read_file(path, max_bytes);
  const bool gzip = bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
  return gzip ? inflate_gzip(path, bytes, max_bytes) : bytes;
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
