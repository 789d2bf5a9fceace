#include <algorithm>
#include <charconv>

#include "data/checkpoint.h"
#include "data/error.h"
#include "data/files.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kTemporaryPrefix = ".tmp-";
constexpr std::string_view kReplacedPrefix = ".replaced-";
constexpr std::size_t kDigits = 8;

std::vector<std::string> names_in(const fs::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  if (!fs::is_directory(directory, error)) return names;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) throw IoError(directory.string() + ": cannot be listed: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

/// The step of "step-00001200"; nothing if this is not how it would be written.
std::optional<std::int64_t> parse_checkpoint_name(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kPrefix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (error != std::errc() || step < 0 || checkpoint_name(step) != name) return std::nullopt;
  return step;
}

/// Opens it and compares the step, so that a renamed checkpoint does not pass for a newer one.
Checkpoint open_step(const fs::path& checkpoints, std::int64_t step) {
  const fs::path directory = checkpoints / checkpoint_name(step);
  Checkpoint checkpoint = Checkpoint::open(directory);
  if (checkpoint.state().step != step) {
    throw CheckpointError(directory.string() + ": its manifest.json is of step " +
                          std::to_string(checkpoint.state().step));
  }
  return checkpoint;
}

}  // namespace

std::string checkpoint_name(std::int64_t step) {
  const std::string digits = std::to_string(step);
  const std::size_t zeros = digits.size() < kDigits ? kDigits - digits.size() : 0;
  return std::string(kPrefix) + std::string(zeros, '0') + digits;
}

fs::path temporary_checkpoint_directory(const fs::path& checkpoints, std::int64_t step) {
  const fs::path directory = checkpoints / (std::string(kTemporaryPrefix) + checkpoint_name(step));
  remove_tree(directory);  // of a save of this process that failed
  create_directories_durably(directory);
  return directory;
}

std::vector<std::string> remove_stale_temporaries(const fs::path& checkpoints) {
  std::vector<std::string> stale;
  for (const std::string& name : names_in(checkpoints)) {
    if (name.starts_with(kTemporaryPrefix)) {
      remove_tree(checkpoints / name);
      stale.push_back(name);
    } else if (name.starts_with(kReplacedPrefix)) {
      // The new one did not take its place: the old one is the checkpoint of this step again.
      const fs::path published = checkpoints / name.substr(kReplacedPrefix.size());
      std::error_code ignored;
      if (fs::exists(fs::symlink_status(published, ignored))) {
        remove_tree(checkpoints / name);
      } else {
        rename_durably(checkpoints / name, published);
      }
      stale.push_back(name);
    }
  }
  return stale;
}

std::vector<std::int64_t> list_checkpoints(const fs::path& checkpoints) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in(checkpoints)) {
    if (const auto step = parse_checkpoint_name(name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

NewestGood open_newest_good(const fs::path& checkpoints) {
  NewestGood found;
  const std::vector<std::int64_t> steps = list_checkpoints(checkpoints);
  for (auto step = steps.rbegin(); step != steps.rend() && !found.checkpoint; ++step) {
    try {
      found.checkpoint = open_step(checkpoints, *step);
    } catch (const CheckpointError& error) {
      found.rejected.emplace_back(error.what());
    }
  }
  return found;
}

std::vector<std::string> prune_checkpoints(const fs::path& checkpoints, int keep_newest,
                                           std::optional<std::int64_t> best_step) {
  std::vector<std::int64_t> steps = list_checkpoints(checkpoints);
  std::reverse(steps.begin(), steps.end());
  const auto keep = static_cast<std::size_t>(std::max(keep_newest, 1));
  const auto may_go = [&](std::int64_t step) { return step != best_step; };
  if (steps.size() <= keep ||
      std::none_of(steps.begin() + static_cast<std::ptrdiff_t>(keep), steps.end(), may_go)) {
    return {};  // without reading anything
  }
  std::vector<std::string> removed;
  std::size_t good = 0;
  for (const std::int64_t step : steps) {
    if (good < keep) {
      try {
        open_step(checkpoints, step);
        ++good;
      } catch (const CheckpointError&) {
        continue;  // it does not count, so an older one stays in its place
      }
    } else if (may_go(step)) {
      removed.push_back(checkpoint_name(step));
      // Out of the way at once: a removal that is interrupted leaves no half checkpoint.
      const fs::path going =
          checkpoints / (std::string(kTemporaryPrefix) + "removed-" + removed.back());
      remove_tree(going);
      rename_durably(checkpoints / removed.back(), going);
      remove_tree(going);
    }
  }
  return removed;
}

}  // namespace lockstep
