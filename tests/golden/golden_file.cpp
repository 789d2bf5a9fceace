#include "tests/golden/golden_file.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "data/error.h"

namespace lockstep {
namespace {

static_assert(std::endian::native == std::endian::little, "values are copied as they are stored");

constexpr std::string_view kFirstLine = "lockstep golden 1";

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw MissingFileError(path.string() + ": no such golden file; see tests/golden");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The whole of `text` as a number; false if it is not one.
template <class T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(text)};
  for (std::string word; std::getline(stream, word, separator);) words.push_back(word);
  return words;
}

template <class T>
void copy_values(std::string_view bytes, std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
}

}  // namespace

GoldenFile::GoldenFile(const std::filesystem::path& path) : path_(path.string()) {
  const std::string bytes = read_bytes(path);
  const std::size_t header_end = bytes.find("\n\n");
  if (header_end == std::string::npos) fail("has no empty line after its header");
  const std::string_view values = std::string_view(bytes).substr(header_end + 2);
  const std::vector<std::string> lines = split(std::string_view(bytes).substr(0, header_end), '\n');
  if (lines.empty() || lines[0] != kFirstLine)
    fail("does not begin with \"" + std::string(kFirstLine) + '"');
  for (std::size_t i = 1; i < lines.size(); ++i) read_line(lines[i], values);
  if (next_offset_ != values.size())
    fail("has " + std::to_string(values.size()) + " bytes of values, its tensors take " +
         std::to_string(next_offset_));
}

void GoldenFile::read_line(std::string_view line, std::string_view values) {
  if (line.substr(0, 7) == "tensor ") return read_tensor(line, values);
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos || equals == 0)
    fail("line \"" + std::string(line) + "\" is neither key=value nor a tensor");
  if (!settings_.emplace(line.substr(0, equals), line.substr(equals + 1)).second)
    fail("has \"" + std::string(line.substr(0, equals)) + "\" twice");
}

void GoldenFile::read_tensor(std::string_view line, std::string_view values) {
  const std::string in_line = " in line \"" + std::string(line) + '"';
  const std::vector<std::string> words = split(line, ' ');
  if (words.size() < 4 || (words[2] != "f32" && words[2] != "f64"))
    fail("wants \"tensor NAME f32|f64 OFFSET DIMS\"" + in_line);
  std::size_t offset = 0;
  if (!parse(words[3], offset) || offset != next_offset_)
    fail("wants offset " + std::to_string(next_offset_) + in_line);

  const std::size_t room = values.size() - next_offset_;
  const std::size_t element_bytes = words[2] == "f32" ? 4 : 8;
  std::size_t elements = 1;
  std::vector<std::int64_t> dims;
  for (std::size_t i = 4; i < words.size(); ++i) {
    std::int64_t dim = 0;
    if (!parse(words[i], dim) || dim < 0) fail("wants dims that are numbers" + in_line);
    dims.push_back(dim);
    // Dividing rather than multiplying: a huge dimension must not overflow.
    if (dim > 0 && elements > room / element_bytes / static_cast<std::size_t>(dim))
      fail("is cut short: it lacks values" + in_line);
    elements *= static_cast<std::size_t>(dim);
  }
  if (elements * element_bytes > room) fail("is cut short: it lacks values" + in_line);

  reference::Tensor tensor{dims, std::vector<double>(elements)};
  const std::string_view bytes = values.substr(next_offset_, elements * element_bytes);
  element_bytes == 4 ? copy_values<float>(bytes, tensor.values)
                     : copy_values<double>(bytes, tensor.values);
  if (!tensors_.emplace(words[1], std::move(tensor)).second)
    fail("has tensor " + words[1] + " twice");
  order_.push_back(words[1]);
  next_offset_ += bytes.size();
}

const reference::Tensor& GoldenFile::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail("has no tensor " + name);
  return found->second;
}

std::vector<std::string> GoldenFile::names(const std::string& prefix) const {
  std::vector<std::string> result;
  for (const std::string& name : order_)
    if (name.compare(0, prefix.size(), prefix) == 0) result.push_back(name.substr(prefix.size()));
  return result;
}

const std::string& GoldenFile::text(const std::string& key) const {
  const auto found = settings_.find(key);
  if (found == settings_.end()) fail("has no setting " + key);
  return found->second;
}

double GoldenFile::number(const std::string& key) const {
  double value = 0;
  if (!parse(text(key), value)) fail(key + '=' + text(key) + " is not a number");
  return value;
}

int GoldenFile::integer(const std::string& key) const {
  int value = 0;
  if (!parse(text(key), value)) fail(key + '=' + text(key) + " is not a whole number");
  return value;
}

std::vector<int> GoldenFile::integers(const std::string& key) const {
  std::vector<int> values;
  for (const std::string& word : split(text(key), ',')) {
    values.push_back(0);
    if (!parse(word, values.back())) fail(key + '=' + text(key) + " is not a list of numbers");
  }
  return values;
}

void GoldenFile::fail(const std::string& what) const {
  throw DataError(path_ + ": " + what + "; make it again with tests/golden/make_golden.py");
}

}  // namespace lockstep
