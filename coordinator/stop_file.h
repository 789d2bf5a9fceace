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
  /// Looks for it there from now on. At a `first_start` a file that has lain there for more than a minute is removed: it
  /// was meant for an earlier training. Where ranks have been lost and training goes on, it is meant for this one.
  /// Returns whether one was removed.
  bool watch(const std::filesystem::path& run_directory, bool first_start);

  /// Whether the file is there. Looks at most once in 0.2 s; `now_s` is data/timing.h's clock.
  bool asked(double now_s);

 private:
  std::filesystem::path file_;
  double next_look_s_ = 0;
  bool asked_ = false;
};

}  // namespace lockstep
