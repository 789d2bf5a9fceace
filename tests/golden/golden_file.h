#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/reference/tensor.h"

namespace lockstep {

/// A .golden file: what PyTorch computed in float64, for comparison. Read whole into memory.
///
///     lockstep golden 1                         first line
///     key=value                                 settings
///     tensor NAME f32|f64 OFFSET DIM DIM ...    tensors, in the order of their values
///                                               an empty line, then the values, little-endian
class GoldenFile {
 public:
  /// @throws MissingFileError if there is no such file, DataError naming file and line if it is
  /// malformed, cut short or longer than its tensors.
  explicit GoldenFile(const std::filesystem::path& path);

  bool has(const std::string& tensor) const { return tensors_.count(tensor) > 0; }
  /// @throws DataError naming the file, if there is no such tensor.
  const reference::Tensor& tensor(const std::string& name) const;
  /// Names of the tensors that begin with `prefix`, without it, in the file's order.
  std::vector<std::string> names(const std::string& prefix) const;

  bool has_setting(const std::string& key) const { return settings_.count(key) > 0; }
  /// Settings, by key. @throws DataError naming file and key, if missing or not a number.
  const std::string& text(const std::string& key) const;
  double number(const std::string& key) const;
  int integer(const std::string& key) const;
  std::vector<int> integers(const std::string& key) const;  // "1,2,3"

 private:
  [[noreturn]] void fail(const std::string& what) const;
  void read_line(std::string_view line, std::string_view values);
  void read_tensor(std::string_view line, std::string_view values);

  std::string path_;
  std::map<std::string, std::string> settings_;
  std::map<std::string, reference::Tensor> tensors_;
  std::vector<std::string> order_;
  std::size_t next_offset_ = 0;  // where the values of the next tensor begin
};

}  // namespace lockstep
