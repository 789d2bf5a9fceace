#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

/// A line that a command wrote to stdout or stderr, and when it came, on data/timing.h's clock.
struct ToldLine {
  double at_s = 0;
  std::string text;
};

struct RunOutcome {
  int exit_code = 0;  // 128 + signal where one ended it
  std::vector<ToldLine> lines;
  double began_s = 0;

  /// The first line from `from_s` on that contains the words.
  const ToldLine* find(const std::string& words, double from_s = 0) const;
};

/// Runs a command and listens; after `most_s` it is ended. @throws IoError.
RunOutcome run_and_listen(const std::vector<std::string>& command, double most_s);

/// A small training in a directory of its own, as the drills disturb it: 40 steps, a checkpoint every 5.
class DrillRun {
 public:
  /// `name`: of the run, below `directory`.
  DrillRun(std::filesystem::path directory, std::string name, int ranks);

  /// lockstep launch -n RANKS train ..., with --fault if there is one.
  RunOutcome train(const std::vector<std::string>& sets, const std::string& fault = "",
                   int threads = 1) const;

  std::filesystem::path run_directory() const { return directory_ / name_; }
  std::filesystem::path newest_checkpoint() const;
  /// Of every tensor of the last step's checkpoint; nothing if it is not there or not good.
  std::optional<std::uint64_t> final_weights() const;

  static constexpr int kSteps = 40, kEvery = 5;

 private:
  std::filesystem::path directory_;
  std::string name_;
  int ranks_;
};

}  // namespace lockstep
