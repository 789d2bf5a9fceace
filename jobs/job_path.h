#pragma once
#include <string>

namespace lockstep {

/// A path of a job as the shell would read it: `~` at its beginning is HOME, $NAME and ${NAME} are variables.
/// @throws ConfigError naming the variable that is not set.
std::string expanded_path(const std::string& path);

}  // namespace lockstep
