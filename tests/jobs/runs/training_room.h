#pragma once
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/jobs/runs/process.h"

namespace lockstep::test {

/// A directory with a small job, in which the program trains; removed at the end of the scope. Runs are
/// told apart by the directory that they are in.
class TrainingRoom {
 public:
  TrainingRoom();

  const std::filesystem::path& path() const { return directory_.path(); }
  std::filesystem::path log(const std::string& runs) const { return path() / (runs + ".log"); }
  std::filesystem::path run(const std::string& runs) const { return path() / runs / "small"; }

  /// lockstep launch -n `ranks` `options` train JOB, with --set for each of `sets`.
  std::vector<std::string> command(const std::string& runs, int ranks,
                                   const std::vector<std::string>& sets = {},
                                   const std::vector<std::string>& options = {}) const;

  /// The lines of metrics.jsonl, without what the clock says.
  std::vector<nlohmann::json> metrics(const std::string& runs) const;

  /// Every tensor of a verified checkpoint. @throws CheckpointError
  std::map<std::string, std::vector<float>> tensors(const std::string& runs,
                                                    std::int64_t step) const;

 private:
  FreshDirectory directory_;
};

}  // namespace lockstep::test
