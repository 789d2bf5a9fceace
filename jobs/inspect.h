#pragma once
#include <filesystem>
#include <string>

#include "data/dataset.h"

namespace lockstep {

// What `lockstep inspect` prints; each prints to stdout and returns an exit code.

/// State and tensors of a checkpoint's directory, or which file of it is bad.
int inspect_checkpoint(const std::filesystem::path& directory);

/// Job, environment, last metrics and checkpoints of a run's directory. 65 if a checkpoint is bad.
int inspect_run(const std::filesystem::path& directory);

/// The splits of a data set, and how many samples each class has; a packed one is verified.
/// @throws as open_dataset.
int inspect_dataset_at(const std::filesystem::path& path, const std::string& source);

}  // namespace lockstep
