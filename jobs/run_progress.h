#pragma once
#include <filesystem>

#include "jobs/restart_policy.h"

namespace lockstep {

/// How far the run of this directory has come, by names and by the end of metrics.jsonl: nothing is
/// verified, so it is quick. Zeros where nothing can be read.
RunProgress read_progress(const std::filesystem::path& run_directory);

}  // namespace lockstep
