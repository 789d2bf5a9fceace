#include "coordinator/checkpoint_choice.h"

#include <spdlog/spdlog.h>

#include <charconv>
#include <utility>

#include "coordinator/job.h"
#include "data/error.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> step_of(std::string_view text) {
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (error != std::errc{} || end != text.data() + text.size() || step < 0) return std::nullopt;
  return step;
}

/// `best` and numbers; nothing for other words.
std::optional<CheckpointChoice> parse_which(std::string_view text) {
  if (text == "best")
    return CheckpointChoice{.directory = {}, .which = CheckpointChoice::Which::kBest};
  if (const auto step = step_of(text))
    return CheckpointChoice{
        .directory = {}, .which = CheckpointChoice::Which::kStep, .step = *step};
  return std::nullopt;
}

std::string what_exists(const fs::path& checkpoints) {
  std::string text;
  for (const std::int64_t step : list_checkpoints(checkpoints))
    text += (text.empty() ? "" : ", ") + std::to_string(step);
  return text.empty() ? "there is none" : "there are those of the steps " + text;
}

Checkpoint open_step(const fs::path& checkpoints, std::int64_t step, const std::string& kind) {
  const fs::path directory = checkpoints / checkpoint_name(step);
  if (!fs::exists(directory))
    throw MissingFileError("no " + kind + " " + std::to_string(step) + " in " +
                           checkpoints.string() + "; " + what_exists(checkpoints));
  return Checkpoint::open(directory);
}

Checkpoint open_newest(const fs::path& checkpoints) {
  NewestGood found = open_newest_good(checkpoints);
  for (const std::string& message : found.rejected)
    spdlog::warn("checkpoint rejected: {}", message);
  if (!found.checkpoint)
    throw MissingFileError(
        "no good checkpoint in " + checkpoints.string() +
        "; train the job first, or name one with --checkpoint best | STEP | DIR");
  return std::move(*found.checkpoint);
}

}  // namespace

CheckpointChoice parse_checkpoint_choice(std::string_view text) {
  if (const auto choice = parse_which(text)) return *choice;
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos && colon > 0)
    if (auto choice = parse_which(text.substr(colon + 1))) {
      choice->directory = text.substr(0, colon);
      return *choice;
    }
  return {.directory = text};
}

std::string what_was_meant(const fs::path& missing, const fs::path& runs) {
  if (fs::exists(runs / missing)) return "; did you mean " + (runs / missing).string() + "?";
  const std::string text = missing.string();
  const fs::path checkpoints = fs::path(text.substr(0, text.rfind(':'))) / "checkpoints";
  if (!fs::is_directory(checkpoints)) return "";
  return "; after the colon stands best or a step, and " + what_exists(checkpoints);
}

Checkpoint open_checkpoint(const CheckpointChoice& choice, const fs::path& run_directory) {
  using Which = CheckpointChoice::Which;
  const fs::path& directory = choice.directory.empty() ? run_directory : choice.directory;
  if (!choice.directory.empty()) {
    if (!fs::exists(directory))
      throw MissingFileError("checkpoint " + directory.string() + " does not exist" +
                             what_was_meant(directory, run_directory.parent_path()));
    if (choice.which == Which::kNewest && !fs::exists(directory / "checkpoints") &&
        list_checkpoints(directory).empty()) {
      if (!fs::exists(directory / "manifest.json") &&
          !directory.filename().string().starts_with("step-"))
        throw MissingFileError(directory.string() + " is neither a run nor a checkpoint" +
                               what_was_meant(directory, run_directory.parent_path()));
      return Checkpoint::open(directory);
    }
  }
  const bool holds_them = !choice.directory.empty() && !fs::exists(directory / "checkpoints");
  const fs::path checkpoints = holds_them ? directory : directory / "checkpoints";
  if (choice.which == Which::kStep)
    return open_step(checkpoints, choice.step, "checkpoint of step");
  Checkpoint newest = open_newest(checkpoints);
  if (choice.which == Which::kNewest) return newest;
  const std::optional<std::int64_t> best = newest.state().best_step;
  if (!best)
    throw MissingFileError("no best checkpoint in " + checkpoints.string() +
                           ": nothing was validated before the newest; " +
                           what_exists(checkpoints));
  if (*best == newest.state().step) return newest;
  return open_step(checkpoints, *best, "best checkpoint, of step");
}

Checkpoint open_named_checkpoint(const CheckpointChoice& choice) {
  return open_checkpoint(choice, RunOptions{}.directory / choice.directory);
}

}  // namespace lockstep
