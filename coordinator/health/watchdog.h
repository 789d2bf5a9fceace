#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "coordinator/job.h"
#include "worker/comm/collective_log.h"

namespace lockstep {

/// What a rank is doing, as far as deadlines differ.
enum class Activity { kStart, kStep, kValidation, kCheckpoint, kEnd, kSpare };
const char* to_string(Activity activity);

/// Which rank of which start of a run watches; known before MPI is.
struct WatchdogPlace {
  std::filesystem::path run_directory;
  std::string start;  // the same on all ranks, another at each start
  int rank = 0, ranks = 1;
};

/// Seconds that an activity may take. `longest_step_s`: of those measured lately, 0: none yet; `steps`: how
/// many steps' work it is.
double deadline_of(Activity activity, const WatchdogOptions& options, double longest_step_s,
                   double steps);

/// Notices that training hangs and ends it with exit code 76, from a thread of its own: the one that
/// communicates may be stuck inside MPI. A rank whose activity or collective has taken too long makes the
/// directory hang-START in the run's directory; all look for it, and write there what they were doing
/// (hang.h). Who made it waits for the others, writes to summary.txt and stderr who is to blame, and
/// then all end: at most 9 seconds after the alarm, even if the file system hangs too.
class Watchdog {
 public:
  Watchdog(const WatchdogOptions& options, WatchdogPlace place);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// For the thread that trains; no locks, no memory.
  void enter(Activity activity, std::int64_t step, double steps = 1);
  void step_took(double seconds);

  /// Where this rank reports a hang; until agree(), what the launcher's variables say.
  std::filesystem::path directory() const;
  /// Once MPI is up, on all ranks: rank 0's directory. Not all launchers give ranks the same name.
  void agree(std::filesystem::path directory, int rank, int ranks);

  /// Reports operations of this log while it lives.
  class Listening {
   public:
    Listening(Watchdog& watchdog, const CollectiveLog& log);
    ~Listening();
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

   private:
    Watchdog& watchdog_;
  };

 private:
  void watch();
  bool overdue(std::int64_t now_ns);
  void report();
  void summarize() const;
  [[noreturn]] void raise(bool first);
  std::filesystem::path report_file(int rank) const;

  WatchdogOptions options_;
  WatchdogPlace place_;
  std::filesystem::path directory_;
  std::atomic<Activity> activity_ = Activity::kStart;
  std::atomic<std::int64_t> step_ = 0, since_ns_;
  std::atomic<double> steps_ = 1, longest_step_s_ = 0;
  std::int64_t resumed_ns_ = 0;  // when this process went on after it had been stopped as a whole
  mutable std::mutex mutex_;     // of place_, directory_, log_ and ending_
  const CollectiveLog* log_ = nullptr;
  std::condition_variable changed_;
  bool ending_ = false;
  std::thread thread_;  // last: all else exists when it starts
};

/// The start's name from what launchers tell every rank: Open MPI, PMIx, Slurm; without one this process alone.
std::string name_of_start();

}  // namespace lockstep
