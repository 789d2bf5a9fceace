#include "tests/fuzz/input.h"

#include <algorithm>

namespace lockstep::fuzz {

std::size_t Input::bytes() const {
  std::size_t bytes = 0;
  for (const std::string& file : files) bytes += file.size();
  return bytes;
}

std::string to_bytes(const Input& input) {
  std::string bytes(1, static_cast<char>(input.mode));
  for (std::size_t f = 0; f < input.files.size(); ++f) {
    const std::string& file = input.files[f];
    if (f + 1 < input.files.size()) {
      for (int i = 0; i < 4; ++i) bytes += static_cast<char>(file.size() >> (8 * i));
    }
    bytes += file;
  }
  return bytes;
}

Input parse_input(std::span<const std::uint8_t> bytes, std::size_t files) {
  Input input;
  const auto take = [&](std::size_t count) {
    const auto taken = bytes.first(std::min(count, bytes.size()));
    bytes = bytes.subspan(taken.size());
    return taken;
  };
  for (const std::uint8_t byte : take(1)) input.mode = byte;
  for (std::size_t f = 0; f < files; ++f) {
    std::size_t length = bytes.size();
    if (f + 1 < files) {
      length = 0;
      int shift = 0;
      for (const std::uint8_t byte : take(4)) length |= std::size_t{byte} << (8 * shift++);
    }
    const auto file = take(length);
    input.files.emplace_back(file.begin(), file.end());
  }
  return input;
}

}  // namespace lockstep::fuzz
