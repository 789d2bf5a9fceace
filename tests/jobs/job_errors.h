#pragma once
#include <string>
#include <vector>

#include "data/error.h"
#include "jobs/job_file.h"

namespace lockstep {

/// What is said of a job that is not valid.
inline std::string error_of(const std::string& text,
                            const std::vector<std::string>& overrides = {}) {
  try {
    parse_job(text, "a.cfg", overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace lockstep
