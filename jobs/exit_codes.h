#pragma once
#include <span>

namespace lockstep {

/// One line of the table of exit codes: what a batch script or a person may act on. data/error.h names those that
/// lockstep itself gives.
struct ExitCodeMeaning {
  const char* code;
  const char* meaning;
};

/// All exit codes, in order; `lockstep --help` prints them.
std::span<const ExitCodeMeaning> exit_codes();

}  // namespace lockstep
