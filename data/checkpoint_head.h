#pragma once
#include <filesystem>
#include <optional>

#include "data/checkpoint.h"

namespace lockstep {

/// What a checkpoint says of itself, without its tensors.
struct CheckpointHead {
  std::filesystem::path directory;
  TrainingState state;
};

/// Of the newest checkpoint with a good manifest: a look ahead, for the little that it costs. Loading verifies the
/// other files too, and may have to take an older one.
std::optional<CheckpointHead> newest_checkpoint_head(const std::filesystem::path& checkpoints);

}  // namespace lockstep
