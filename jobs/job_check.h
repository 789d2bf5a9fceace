#pragma once
#include <functional>
#include <map>
#include <string>

#include "coordinator/job.h"

namespace lockstep {

/// Checks what several keys say together and what needs no data: each alone is valid already.
/// `where(key)` tells where a key was set, for messages ("FILE:LINE").
/// @throws ConfigError naming the keys, their values and what to do.
void check_job(const Job& job, const std::function<std::string(const std::string& key)>& where);

/// Refuses keys that were set, if only to their defaults, and mean nothing to the job's optimizer.
/// `places`: key -> where it was set. @throws ConfigError.
void check_said_keys(const Job& job, const std::map<std::string, std::string>& places);

}  // namespace lockstep
