#pragma once
#include <stdexcept>
#include <string>

namespace lockstep {

/// Exit codes of the program; what a batch script may act on.
enum class ExitCode {
  kDone = 0,
  kUsage = 64,        // the job file or the command line is wrong
  kBadData = 65,      // a dataset or checkpoint is not what it should be
  kMissingFile = 66,  // a file that was named does not exist
  kInternal = 70,     // a bug
  kIo = 74,           // reading or writing failed
  kRequeue = 75,      // stopped early with a checkpoint: run me again
  kRankLost = 76,     // another rank died or does not answer
  kDiverged = 77,     // training itself went wrong: the job has to change
};

/// Base of every error that lockstep throws. The message names what is wrong, where, and what to
/// do. Libraries throw; only main prints and exits with `exit_code()`.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode exit_code() const { return code_; }

 private:
  ExitCode code_;
};

/// A job file, option or command line is wrong.
struct ConfigError : Error {
  explicit ConfigError(const std::string& message) : Error(ExitCode::kUsage, message) {}
};

/// Shapes of a model do not fit together; found before any byte is allocated.
struct ShapeError : Error {
  explicit ShapeError(const std::string& message) : Error(ExitCode::kUsage, message) {}
};

/// A dataset is truncated, mislabelled or not of the format that it claims.
struct DataError : Error {
  explicit DataError(const std::string& message) : Error(ExitCode::kBadData, message) {}
};

/// A file that the user named does not exist.
struct MissingFileError : Error {
  explicit MissingFileError(const std::string& message) : Error(ExitCode::kMissingFile, message) {}
};

/// A checkpoint is damaged, incomplete or of another model.
struct CheckpointError : Error {
  explicit CheckpointError(const std::string& message) : Error(ExitCode::kBadData, message) {}
};

/// The operating system refused to read or write.
struct IoError : Error {
  explicit IoError(const std::string& message) : Error(ExitCode::kIo, message) {}
};

/// An MPI call failed, or a peer is gone.
struct CommError : Error {
  explicit CommError(const std::string& message) : Error(ExitCode::kRankLost, message) {}
};

/// Losses or gradients that no restart will mend.
struct HealthError : Error {
  explicit HealthError(const std::string& message) : Error(ExitCode::kDiverged, message) {}
};

/// A bug: something that should not be possible, found at run time (a primitive failed, say).
struct InternalError : Error {
  explicit InternalError(const std::string& message) : Error(ExitCode::kInternal, message) {}
};

}  // namespace lockstep
