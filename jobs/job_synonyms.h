#pragma once
#include <string>
#include <string_view>

namespace lockstep {

/// The key that people mean who know it by another program's name ("lr", "batch_size"); with or without a section.
/// Empty if the name is not known.
std::string meant_key(std::string_view name);

/// A path of a job as the shell would read it: `~` at its beginning is HOME, $NAME and ${NAME} are variables.
/// @throws ConfigError naming the variable that is not set.
std::string expanded_path(const std::string& path);

}  // namespace lockstep
