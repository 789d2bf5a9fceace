#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep::fuzz {

/// What is mutated: the files that belong together in one format, and how they are to be read.
struct Input {
  std::uint8_t mode = 0;           // see the format; kLeaveOutEmpty may be added
  std::vector<std::string> files;  // in the format's order

  std::size_t bytes() const;
};

/// Files without a byte are not written at all.
inline constexpr std::uint8_t kLeaveOutEmpty = 0x80;

/// As one run of bytes, for libFuzzer and for kept findings: mode, then of every file but the last
/// its length (4 bytes, little-endian) and its bytes, then the last file.
std::string to_bytes(const Input& input);

/// Any bytes are an input: lengths that are too large are cut, what is missing is empty.
Input parse_input(std::span<const std::uint8_t> bytes, std::size_t files);

}  // namespace lockstep::fuzz
