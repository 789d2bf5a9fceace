#pragma once
#include <filesystem>

#include "worker/comm/communicator.h"

namespace lockstep {

/// A new directory that all ranks of the group see; rank 0 removes it at the end.
class BenchDirectory {
 public:
  /// Makes it in `parent`. Collective. @throws IoError on all ranks.
  BenchDirectory(const std::filesystem::path& parent, const Communicator& group);
  ~BenchDirectory();
  BenchDirectory(const BenchDirectory&) = delete;
  BenchDirectory& operator=(const BenchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  const Communicator& group_;
  std::filesystem::path path_;
};

}  // namespace lockstep
