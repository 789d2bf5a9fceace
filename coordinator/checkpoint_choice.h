#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "data/checkpoint.h"

namespace lockstep {

/// Which checkpoint a word of the user means.
struct CheckpointChoice {
  enum class Which { kNewest, kBest, kStep };
  std::filesystem::path directory;  // a checkpoint or a run; empty: the run at hand
  Which which = Which::kNewest;
  std::int64_t step = 0;  // kStep
};

/// Reads `best`, a step, DIRECTORY, or DIRECTORY:best and DIRECTORY:STEP; "" is the newest good one
/// of the run at hand.
CheckpointChoice parse_checkpoint_choice(std::string_view text);

/// Returns what a name of a run or checkpoint that is `missing` may stand for, to be appended to an
/// error: the same name below `runs`, or what may follow RUN and a colon. "": nothing like it exists.
std::string what_was_meant(const std::filesystem::path& missing, const std::filesystem::path& runs);

/// Opens the checkpoint that `choice` means; rejected newer ones are warned of. The best is the one
/// with the best validation so far, as the run's newest good checkpoint has it. `run_directory`:
/// the run at hand. @throws MissingFileError naming the checkpoints that exist; CheckpointError
/// where it is damaged.
Checkpoint open_checkpoint(const CheckpointChoice& choice,
                           const std::filesystem::path& run_directory);

/// The same without a job: `choice` has a directory, and what was meant may lie in `runs`, where runs usually are.
Checkpoint open_named_checkpoint(const CheckpointChoice& choice);

}  // namespace lockstep
