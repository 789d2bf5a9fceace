#pragma once
#include <filesystem>

namespace lockstep {

/// runs/NAME/stop: whoever makes this file (`lockstep stop`, or touch) asks the training there to finish its step,
/// save, and end with 0. The training removes it.
std::filesystem::path stop_file(const std::filesystem::path& run_directory);

/// Removes the file; returns whether it was there.
bool take_stop_file(const std::filesystem::path& run_directory);

/// Looks for the file now and then, on rank 0.
class StopFileWatch {
 public:
  /// Removes a file that has lain there for more than a minute: it was meant for an earlier training. Returns whether there was one.
  bool forget_old(const std::filesystem::path& run_directory);

  /// Whether the file is there. Looks at most once in 0.2 s; `now_s` is data/timing.h's clock.
  bool asked(double now_s);

 private:
  std::filesystem::path file_;
  double next_look_s_ = 0;
  bool asked_ = false;
};

}  // namespace lockstep
