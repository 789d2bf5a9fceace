#include "jobs/run_progress.h"

#include <nlohmann/json.hpp>

#include <algorithm>

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

}  // namespace

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
