#include "coordinator/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <random>
#include <sstream>

#include "data/error.h"
#include "data/files.h"
#include "data/host.h"
#include "data/timing.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = 4096;
constexpr std::size_t kCounterDigits = 12;

/// The first line of a small file, empty if there is none. Of /proc, so without OpenFile: it has no size.
std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// When a process started, in ticks since boot: tells it from a later one of the same number. Empty if
/// it has ended, even if nobody has waited for it yet.
std::string start_of(pid_t pid) {
  const std::string stat = first_line("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  fields >> field;
  if (field == "Z" || field == "X") return "";
  constexpr int kStart = 22;  // which field it is; this was the third
  for (int i = 3; i < kStart && fields >> field; ++i) {
  }
  return field;
}

/// Who holds a lock: its lines, without the counter's.
struct Holder {
  std::string host, boot, processes, pid, start, since;
};

Holder this_process() {
  std::error_code unknown;
  std::array<char, 32> since{};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  std::strftime(since.data(), since.size(), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &utc));
  return {host_name(),
          first_line("/proc/sys/kernel/random/boot_id"),
          fs::read_symlink("/proc/self/ns/pid", unknown).string(),  // containers count apart
          std::to_string(getpid()),
          start_of(getpid()),
          since.data()};
}

std::string to_text(const Holder& h) {
  return "host " + h.host + "\nboot " + h.boot + "\nprocesses " + h.processes + "\npid " + h.pid +
         "\nstart " + h.start + "\nsince " + h.since + "\n";
}

Holder parse(const std::string& text) {
  Holder holder;
  std::istringstream lines(text);
  for (std::string key, value; lines >> key && std::getline(lines >> std::ws, value);) {
    if (key == "host") holder.host = value;
    if (key == "boot") holder.boot = value;
    if (key == "processes") holder.processes = value;
    if (key == "pid") holder.pid = value;
    if (key == "start") holder.start = value;
    if (key == "since") holder.since = value;
  }
  return holder;
}

enum class Life { kAlive, kDead, kUnknown };

std::string describe(const Holder& holder) {
  return "process " + holder.pid + " on " + holder.host + " since " + holder.since;
}

/// What this machine can tell of the holder without waiting.
Life life_of(const Holder& holder) {
  const Holder here = this_process();
  if (holder.host != here.host) return Life::kUnknown;
  if (holder.boot != here.boot) return Life::kDead;
  if (holder.processes != here.processes) return Life::kUnknown;
  const std::string start = start_of(std::atoi(holder.pid.c_str()));
  return !start.empty() && start == holder.start ? Life::kAlive : Life::kDead;
}

std::string counter(std::uint64_t value) {
  std::string digits = std::to_string(value);
  return "beat " + std::string(kCounterDigits - std::min(kCounterDigits, digits.size()), '0') +
         digits + "\n";
}

/// Nothing if the file is not there.
std::string read_lock(const fs::path& path) {
  try {
    return read_text_file(path, kMostBytes);
  } catch (const MissingFileError&) {
    return "";
  }
}

/// A process of this machine: it may be dying just now.
Life life_after(const Holder& holder, double seconds) {
  const double end = seconds_now() + seconds;
  while (life_of(holder) == Life::kAlive && seconds_now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return life_of(holder);
}

/// The lock stands still for so long.
bool silent_for(const fs::path& path, double seconds) {
  const std::string before = read_lock(path);
  const double end = seconds_now() + seconds;
  while (seconds_now() < end) {
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(1.0, seconds / 10)));
    if (read_lock(path) != before) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> holder_of_lock(const fs::path& run_directory) {
  const std::string text = read_lock(run_directory / "lock");
  if (text.empty()) return std::nullopt;
  const Holder holder = parse(text);
  if (life_of(holder) == Life::kDead) return std::nullopt;
  return describe(holder);
}

RunLock::RunLock(const fs::path& run_directory, const RunLockOptions& options)
    : path_(run_directory / "lock"),
      options_(options),
      mine_(to_text(this_process()) + "token " + std::to_string(std::random_device()()) + "\n") {
  take();
  thread_ = std::thread([this] { beat(); });
}

RunLock::~RunLock() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
  try {
    std::error_code gone;
    if (!lost_ && read_lock(path_).starts_with(mine_)) fs::remove(path_, gone);
  } catch (const Error& e) {
    spdlog::warn("the lock stays: {}", e.what());
  }
}

/// False if there is a lock already.
bool RunLock::try_take() {
  if (options_.hard_links) return link_it();
  const int file = ::open(path_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (file < 0 && errno == EEXIST) return false;
  if (file < 0) throw IoError(path_.string() + ": cannot be made: " + std::strerror(errno));
  ::close(file);
  write_file_durably(path_, mine_ + counter(0));
  return true;
}

bool RunLock::link_it() {
  const fs::path fresh = path_.string() + "-" + hash128(mine_).substr(0, 16);
  write_file_durably(fresh, mine_ + counter(0));
  // On NFS link() may have done it and yet say EEXIST, after a lost answer: the file tells.
  const int result = ::link(fresh.c_str(), path_.c_str());
  const int code = errno;
  std::error_code ignored;
  fs::remove(fresh, ignored);
  if (result == 0 || read_lock(path_).starts_with(mine_)) return true;
  if (code == EEXIST) return false;
  if (code != EPERM && code != EOPNOTSUPP && code != ENOSYS && code != EMLINK)
    throw IoError(path_.string() + ": cannot be made: " + std::strerror(code));
  options_.hard_links = false;
  return try_take();
}

void RunLock::take() {
  constexpr int kTries = 100;
  for (int tries = 0; tries < kTries; ++tries) {
    if (try_take()) return;
    const std::string text = read_lock(path_);
    if (text.empty()) {  // given back meanwhile; or being written, or its writer died then
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (tries >= kTries / 2) remove_stale(text);
      continue;
    }
    const Holder holder = parse(text);
    const std::string who = describe(holder);
    Life life = life_after(holder, options_.grace_s);
    if (life == Life::kUnknown) {
      spdlog::info("{} is held by {}: looking for {:.0f} s whether it lives", path_.string(), who,
                   options_.patience_s);
      life = silent_for(path_, options_.patience_s) ? Life::kDead : Life::kAlive;
    }
    if (life == Life::kAlive)
      throw ConfigError(path_.parent_path().string() + ": another job trains here: " + who +
                        ". Wait for it, or use another run.name");
    spdlog::warn("taking over the lock of {}, which is gone", who);
    remove_stale(text);
  }
  throw IoError(path_.string() +
                ": changes hands all the time; do several jobs start in one directory?");
}

/// Renames it away; if by then it is another's, puts it back.
void RunLock::remove_stale(const std::string& text) {
  const fs::path away = path_.string() + "-stale-" + hash128(mine_).substr(0, 16);
  if (::rename(path_.c_str(), away.c_str()) != 0) return;  // somebody else did
  const bool same = read_lock(away) == text;
  if (!same && ::link(away.c_str(), path_.c_str()) != 0)
    spdlog::error("{}: two jobs have come into this directory at once",
                  path_.parent_path().string());
  std::error_code ignored;
  fs::remove(away, ignored);
}

void RunLock::beat() {
  std::unique_lock lock(mutex_);
  const std::chrono::duration<double> pause(options_.beat_s);
  for (std::uint64_t n = 1; !changed_.wait_for(lock, pause, [this] { return ending_; }); ++n) {
    lock.unlock();
    try {
      const bool still = read_lock(path_).starts_with(mine_);
      const std::string next = counter(n);
      if (still) OpenFile::for_update(path_).write_at(mine_.size(), std::as_bytes(std::span(next)));
      lost_ = lost_ || !still;
    } catch (const Error& e) {
      spdlog::warn("cannot keep the lock: {}", e.what());  // a full disk must not end the training
    }
    lock.lock();
  }
}

}  // namespace lockstep
