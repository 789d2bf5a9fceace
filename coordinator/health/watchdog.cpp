#include "coordinator/health/watchdog.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>

#include "coordinator/health/hang.h"
#include "data/error.h"
#include "data/files.h"
#include "data/host.h"
#include "data/timing.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using std::chrono::duration;

constexpr double kTick_s = 0.25;
constexpr double kLate_s = 2;        // a tick that is so late: this process was stopped as a whole
constexpr double kForReports_s = 3;  // the first rank waits for the others' reports
constexpr double kForSummary_s = 5;  // the others wait for it
constexpr double kLastResort_s = 9;  // whatever hangs
constexpr double kLeastStep_s = 60, kFactor = 20;
constexpr std::uint64_t kMostBytes = 1 << 20;

void sleep(double seconds) { std::this_thread::sleep_for(duration<double>(seconds)); }

[[noreturn]] void end_rank() { std::_Exit(static_cast<int>(ExitCode::kRankLost)); }

/// Readers see the whole text or no file.
void write_at_once(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".tmp";
  OpenFile file = OpenFile::for_writing(fresh);
  file.write(std::as_bytes(std::span(text)));
  file.close();
  fs::rename(fresh, path);
}

/// False if it does not come to be within the time.
template <typename Condition>
bool wait_until(double seconds, Condition condition) {
  const double end = seconds_now() + seconds;
  for (bool met = condition();; met = condition()) {
    if (met || seconds_now() > end) return met;
    sleep(0.05);
  }
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

const char* to_string(Activity activity) {
  switch (activity) {
    case Activity::kStart:
      return "start";
    case Activity::kStep:
      return "step";
    case Activity::kValidation:
      return "validation";
    case Activity::kCheckpoint:
      return "checkpoint";
    case Activity::kEnd:
      return "end";
    case Activity::kSpare:
      return "wait as a spare";
  }
  return "unknown";
}

double deadline_of(Activity activity, const WatchdogOptions& options, double longest_step_s,
                   double steps) {
  const double step = options.step_s > 0    ? options.step_s
                      : longest_step_s == 0 ? options.start_s
                                            : std::max(kLeastStep_s, kFactor * longest_step_s);
  switch (activity) {
    case Activity::kStep:
      return step;
    case Activity::kValidation:
      return options.start_s + steps * kFactor * longest_step_s;
    case Activity::kCheckpoint:
      return options.checkpoint_s;
    case Activity::kSpare:
      return std::numeric_limits<double>::infinity();
    default:
      return options.start_s;
  }
}

std::string name_of_start() {
  std::string name;
  for (const char* variable :
       {"PMIX_NAMESPACE", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"})
    if (const char* value = std::getenv(variable))
      name += (name.empty() ? "" : "-") + std::string(value);
  for (char& c : name)
    if (std::string_view("/@ .").find(c) != std::string_view::npos) c = '-';
  return name.empty() ? "alone-" + std::to_string(getpid()) : name;
}

Watchdog::Watchdog(const WatchdogOptions& options, WatchdogPlace place)
    : options_(options),
      place_(std::move(place)),
      directory_(place_.run_directory / ("hang-" + place_.start)),
      since_ns_(CollectiveLog::now_ns()) {
  // Launchers count processes, which come round again: an old hang of that name is over.
  while (is_there(directory_ / "summary.txt")) directory_ += "-later";
  if (options_.enabled) thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Watchdog::Listening::Listening(Watchdog& watchdog, const CollectiveLog& log) : watchdog_(watchdog) {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.log_ = &log;
}

Watchdog::Listening::~Listening() {
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.log_ = nullptr;
}

void Watchdog::enter(Activity activity, std::int64_t step, double steps) {
  since_ns_ = CollectiveLog::now_ns();  // first: the old activity with the new time raises no alarm
  step_ = step;
  steps_ = steps;
  activity_ = activity;
}

fs::path Watchdog::directory() const {
  const std::lock_guard lock(mutex_);
  return directory_;
}

void Watchdog::agree(fs::path directory, int rank, int ranks) {
  const std::lock_guard lock(mutex_);
  directory_ = std::move(directory);
  place_.rank = rank;
  place_.ranks = ranks;
}

void Watchdog::step_took(double seconds) {
  longest_step_s_ = std::max(seconds, 0.95 * longest_step_s_.load());
}

/// Of this rank's activity, or of the collective that it is in.
bool Watchdog::overdue(std::int64_t now_ns) {
  const Activity activity = activity_;
  const auto since = [&](std::int64_t then) { return static_cast<double>(now_ns - then) * 1e-9; };
  if (since(since_ns_) > deadline_of(activity, options_, longest_step_s_, steps_)) return true;
  if (activity != Activity::kStep || options_.collective_s == 0 || !log_) return false;
  const std::optional<CollectiveRecord> last = log_->last();
  return last && last->under_way() &&
         since(std::max(last->begin_ns, resumed_ns_)) > options_.collective_s;
}

void Watchdog::watch() {
  constexpr int kTicksBetweenLooks = 4;
  std::unique_lock lock(mutex_);
  std::int64_t before = CollectiveLog::now_ns();
  for (int tick = 1;
       !changed_.wait_for(lock, duration<double>(kTick_s), [this] { return ending_; }); ++tick) {
    const std::int64_t now = CollectiveLog::now_ns(), took = now - before;
    before = now;
    if (static_cast<double>(took) * 1e-9 > kTick_s + kLate_s) {
      since_ns_ += took;
      resumed_ns_ = now;
    }
    if (tick % kTicksBetweenLooks == 0 && is_there(directory_)) raise(false);
    if (!overdue(now)) continue;
    std::error_code there;
    fs::create_directories(place_.run_directory, there);
    raise(::mkdir(directory_.c_str(), 0777) == 0);
  }
}

fs::path Watchdog::report_file(int rank) const {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "rank-%05d.json", rank);
  return directory_ / name.data();
}

void Watchdog::report() {
  const std::int64_t now = CollectiveLog::now_ns();
  write_at_once(
      report_file(place_.rank),
      to_json({.rank = place_.rank,
               .host = host_name(),
               .process = getpid(),
               .activity = to_string(activity_),
               .step = step_,
               .activity_s = static_cast<double>(now - since_ns_) * 1e-9,
               .operations = log_ ? operations_of(*log_) : std::vector<HangOperation>{}}));
}

void Watchdog::summarize() const {
  wait_until(kForReports_s, [&] {
    for (int rank = 0; rank < place_.ranks; ++rank)
      if (!is_there(report_file(rank))) return false;
    return true;
  });
  std::vector<HangReport> reports;
  for (int rank = 0; rank < place_.ranks; ++rank)
    if (is_there(report_file(rank)))
      reports.push_back(parse_hang_report(read_text_file(report_file(rank), kMostBytes)));
  const std::string who = blame(reports, place_.ranks);
  std::fprintf(stderr, "lockstep: error: training hangs: %s. What all ranks did is in %s\n",
               who.c_str(), directory_.c_str());
  std::fflush(stderr);
  write_at_once(directory_ / "summary.txt", who + "\n");
}

/// `first`: this rank has made the directory, so it speaks for all.
void Watchdog::raise(bool first) {
  std::thread([] {
    sleep(kLastResort_s);
    end_rank();
  }).detach();
  try {
    report();
    if (first)
      summarize();
    else
      wait_until(kForSummary_s, [&] { return is_there(directory_ / "summary.txt"); });
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lockstep: error: rank %d hangs, and cannot report it: %s\n", place_.rank,
                 e.what());
  }
  sleep(0.2);  // for what was said to get through the launcher
  end_rank();
}

}  // namespace lockstep
