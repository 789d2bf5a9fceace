#include "jobs/run_progress.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>

#include "data/checkpoint.h"
#include "data/error.h"
#include "data/files.h"

namespace lockstep {
namespace {

/// The step of the last whole line.
std::int64_t last_step(const std::filesystem::path& metrics) {
  constexpr std::uint64_t kEnough = 1 << 16;  // lines have about 300 bytes
  const OpenFile file = OpenFile::for_reading(metrics);
  const std::uint64_t bytes = file.bytes();
  std::string text(std::min(bytes, kEnough), '\0');
  text.resize(file.read_at(bytes - text.size(), std::as_writable_bytes(std::span(text))));
  for (std::size_t end; (end = text.rfind('\n')) != std::string::npos; text.resize(end)) {
    const std::size_t before = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    const auto line = nlohmann::json::parse(text.substr(begin, end - begin), nullptr, false);
    if (line.is_object() && line.contains("step") && line["step"].is_number_integer())
      return line["step"].get<std::int64_t>();
  }
  return 0;
}

constexpr const char* kEnd = "end";  // the file's name

}  // namespace

void write_end(const std::filesystem::path& run_directory, int exit_code) {
  const std::filesystem::path fresh = run_directory / (std::string(kEnd) + ".tmp");
  write_file_durably(fresh, std::to_string(exit_code) + "\n");
  std::filesystem::rename(fresh, run_directory / kEnd);
}

std::optional<int> read_end(const std::filesystem::path& run_directory) {
  constexpr std::uint64_t kMostBytes = 16;
  try {
    return std::atoi(read_text_file(run_directory / kEnd, kMostBytes).c_str());
  } catch (const Error&) {
    return std::nullopt;
  }
}

void forget_end(const std::filesystem::path& run_directory) {
  std::error_code none;
  std::filesystem::remove(run_directory / kEnd, none);
}

RunProgress read_progress(const std::filesystem::path& run_directory) {
  RunProgress progress;
  try {
    const auto checkpoints = list_checkpoints(run_directory / "checkpoints");
    if (!checkpoints.empty()) progress.checkpoint = checkpoints.back();
    progress.step = last_step(run_directory / "metrics.jsonl");
  } catch (const Error&) {
    // Not there yet, or not readable: what cannot be seen is no progress.
  }
  return progress;
}

}  // namespace lockstep
