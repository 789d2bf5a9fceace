#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// The bytes of a whole file. @throws MissingFileError, IoError, DataError (longer than
/// `max_bytes`).
std::vector<std::uint8_t> read_file(const std::string& path, std::int64_t max_bytes);

/// How long a file is; links are followed. @throws MissingFileError, IoError.
std::uint64_t file_bytes(const std::string& path);

/// As read_file, unpacked where the file is gzip (known by its first bytes, whatever its name is).
/// `max_bytes` bounds the unpacked size, and so do 256 MiB and 64 times the packed size: a small file
/// cannot claim all memory.
/// @throws also DataError naming file and offset where the gzip data are damaged or cut short.
std::vector<std::uint8_t> read_file_unpacked(const std::string& path, std::int64_t max_bytes);

/// The lines of a small text file, without empty ones and without trailing blanks.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace lockstep
