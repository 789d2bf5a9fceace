#include "tests/fuzz/format.h"

#include <functional>
#include <utility>

#include "data/error.h"
#include "data/files.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

using Maker = std::function<std::unique_ptr<Format>(const fs::path&)>;

const std::vector<std::pair<std::string, Maker>>& makers() {
  static const std::vector<std::pair<std::string, Maker>> all = {
      {"checkpoint", make_checkpoint_format},
      {"packed", make_packed_format},
      {"idx", [](const fs::path&) { return make_idx_format(); }},
      {"cifar", [](const fs::path&) { return make_cifar_format(); }},
      {"image", [](const fs::path&) { return make_image_format(); }},
      {"masks", [](const fs::path&) { return make_masks_format(); }},
      {"job", [](const fs::path&) { return make_job_format(); }},
  };
  return all;
}

}  // namespace

const std::vector<std::string>& format_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, make] : makers()) all.push_back(name);
    return all;
  }();
  return names;
}

std::unique_ptr<Format> make_format(const std::string& name, const fs::path& folder) {
  for (const auto& [known, make] : makers()) {
    if (known == name) return make(folder);
  }
  throw ConfigError("there is no format '" + name + "' to fuzz");
}

std::string slurp(const fs::path& file) { return read_text_file(file, std::uint64_t{1} << 26); }

void spill(const fs::path& file, const std::string& bytes, std::uint8_t mode) {
  if (bytes.empty() && (mode & kLeaveOutEmpty)) {
    fs::remove(file);
    return;
  }
  OpenFile out = OpenFile::for_writing(file);
  out.write(std::as_bytes(std::span(bytes)));
}

}  // namespace lockstep::fuzz
