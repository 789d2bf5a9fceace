#pragma once
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace lockstep {

/// Values of job files from and to text. Reading takes the whole text or returns false; what is
/// written reads back as the same value, to the bit.

inline std::string_view trimmed(std::string_view text) {
  const char* blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

template <typename T>
requires(std::integral<T> || std::floating_point<T>) bool read_value(std::string_view text,
                                                                     T& value) {
  T read{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  value = read;
  return true;
}

inline bool read_value(std::string_view text, bool& value) {
  const bool yes = text == "true" || text == "yes" || text == "on" || text == "1";
  const bool no = text == "false" || text == "no" || text == "off" || text == "0";
  if (yes || no) value = yes;
  return yes || no;
}

inline bool read_value(std::string_view text, std::string& value) {
  value = text;
  return true;
}

/// "80, 120"; an empty text is an empty list.
template <typename T>
bool read_value(std::string_view text, std::vector<T>& values) {
  std::vector<T> read;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (!read_value(trimmed(text.substr(0, comma)), read.emplace_back())) return false;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (trimmed(text).empty()) return false;  // "80," promises one more
  }
  values = std::move(read);
  return true;
}

template <typename T>
requires(std::integral<T> || std::floating_point<T>) std::string write_value(T value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

inline std::string write_value(bool value) { return value ? "true" : "false"; }

inline std::string write_value(const std::string& value) { return value; }

template <typename T>
std::string write_value(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ", ") + write_value(value);
  return text;
}

}  // namespace lockstep
