#pragma once
#include <filesystem>
#include <optional>

#include "jobs/restart_policy.h"

namespace lockstep {

/// How far the run of this directory has come, by names and by the end of metrics.jsonl: nothing is
/// verified, so it is quick. Zeros where nothing can be read.
RunProgress read_progress(const std::filesystem::path& run_directory);

/// How ranks that outlive lost ones tell the supervisor that the training came to its end: mpirun's own exit code
/// means little then. A file in the run's directory.
void write_end(const std::filesystem::path& run_directory, int exit_code);
/// Nothing if it is not there.
std::optional<int> read_end(const std::filesystem::path& run_directory);
void forget_end(const std::filesystem::path& run_directory);

}  // namespace lockstep
