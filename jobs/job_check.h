#pragma once
#include <functional>
#include <string>

#include "coordinator/job.h"

namespace lockstep {

/// Checks what several keys say together and what needs no data: each alone is valid already.
/// `where(key)` tells where a key was set, for messages ("FILE:LINE").
/// @throws ConfigError naming the keys, their values and what to do.
void check_job(const Job& job, const std::function<std::string(const std::string& key)>& where);

}  // namespace lockstep
