#include "coordinator/stop_file.h"

#include <chrono>
#include <system_error>

namespace lockstep {

namespace fs = std::filesystem;

fs::path stop_file(const fs::path& run_directory) { return run_directory / "stop"; }

bool take_stop_file(const fs::path& run_directory) {
  std::error_code error;
  return fs::remove(stop_file(run_directory), error);
}

bool StopFileWatch::watch(const fs::path& run_directory, bool first_start) {
  constexpr std::chrono::minutes kOld{
      1};  // a younger one may be meant for this training, which has been starting
  file_ = stop_file(run_directory);
  if (!first_start) return false;
  std::error_code error;
  const auto made = fs::last_write_time(file_, error);
  return !error && fs::file_time_type::clock::now() - made > kOld && fs::remove(file_, error);
}

bool StopFileWatch::asked(double now_s) {
  constexpr double kEvery_s = 0.2;  // a look is a call to the file system, which may be far away
  if (asked_ || now_s < next_look_s_) return asked_;
  next_look_s_ = now_s + kEvery_s;
  std::error_code error;
  asked_ = !file_.empty() && fs::exists(file_, error);
  return asked_;
}

}  // namespace lockstep
