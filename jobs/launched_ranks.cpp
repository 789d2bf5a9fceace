#include "jobs/launched_ranks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <thread>
#include <vector>

#include "data/error.h"
#include "data/timing.h"
#include "jobs/child_process.h"
#include "jobs/value_text.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestLine = 4096;  // of what is kept to look for an error in

[[noreturn]] void become(const LaunchPlan& plan, int errors, const sigset_t& signals,
                         pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);  // it died before that was set
  setpgid(0, 0);                        // what the terminal signals goes to the supervisor alone
  ::signal(SIGUSR1, SIG_IGN);           // until mpirun listens, it must not die of it
  ::signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &signals, nullptr);
  for (const auto& [name, value] : plan.environment) setenv(name.c_str(), value.c_str(), 1);
  const std::vector<char*> words = words_to_execute(plan.command);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(errors, STDERR_FILENO);
  execv(words[0], words.data());
  dprintf(STDERR_FILENO, "lockstep: error: cannot start %s: %s\n", words[0], std::strerror(errno));
  _exit(static_cast<int>(ExitCode::kUsage));
}

/// What follows the name in /proc/PID/stat, "PID (name) state parent ..."; empty if the process is gone.
std::string status_of(const fs::path& process) {
  std::ifstream file(process / "stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos || name_end + 4 > text.size()) return {};
  return text.substr(name_end + 2);
}

pid_t parent_of(const fs::path& process) {
  const std::string status = status_of(process);
  return status.empty() ? 0 : std::atoi(status.c_str() + 2);
}

bool is_stopped(pid_t pid) {
  return status_of(fs::path("/proc") / std::to_string(pid)).starts_with('T');
}

constexpr std::string_view kPrefix = "lockstep-mpi-";

/// Removes directories that starts left which were killed themselves: of this user, and nobody holds them any more. One
/// that was made just now may be about to be held.
void remove_left(const fs::path& parent, double least_age_s) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    if (!entry.path().filename().native().starts_with(kPrefix)) continue;
    const int held = open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (held < 0) continue;
    struct stat status {};
    const bool left = fstat(held, &status) == 0 && status.st_uid == geteuid() &&
                      std::difftime(std::time(nullptr), status.st_ctime) >= least_age_s &&
                      flock(held, LOCK_EX | LOCK_NB) == 0;
    if (left) fs::remove_all(entry.path(), error);
    close(held);
  }
}

}  // namespace

LaunchedRanks::LaunchedRanks(const LaunchPlan& plan, const sigset_t& signals) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    throw IoError(std::string("cannot make a pipe for the ranks: ") + std::strerror(errno));
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) become(plan, ends[1], signals, parent);
  const int code = errno;
  close(ends[1]);
  errors_ = ends[0];
  if (pid_ < 0) {
    close(errors_);
    throw IoError("cannot start " + plan.command[0] + ": " + std::strerror(code));
  }
  fcntl(errors_, F_SETFL, O_NONBLOCK);
}

LaunchedRanks::~LaunchedRanks() {
  if (running_) kill(pid_, SIGKILL);
  if (errors_ >= 0) close(errors_);
}

void LaunchedRanks::note_error(const std::string& line) {
  constexpr std::string_view kMark = "lockstep: error: ";
  const std::size_t at = line.find(kMark);
  if (words_.empty() && at != std::string::npos) words_ = line.substr(at + kMark.size());
}

void LaunchedRanks::show(const std::string& text) const {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

void LaunchedRanks::pass_on_errors() {
  std::array<char, 4096> bytes;
  while (errors_ >= 0) {
    const ssize_t count = read(errors_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;  // all that was written is read
    if (count == 0) {
      show(launcher_.rest());
      close(errors_);
      errors_ = -1;
      return;
    }
    const std::string_view text(bytes.data(), static_cast<std::size_t>(count));
    show(launcher_.pass(text));
    for (const char c : text) {
      if (c != '\n' && line_.size() < kLongestLine) line_ += c;
      if (c != '\n') continue;
      note_error(line_);
      line_.clear();
    }
  }
}

std::optional<LaunchedRanks::Count> LaunchedRanks::count() {
  const std::vector<pid_t> ranks = children_of(pid_);
  peopled_ = peopled_ || !ranks.empty();
  if (!peopled_) return std::nullopt;
  const auto stopped = std::ranges::count_if(ranks, is_stopped);
  return Count{.all = ranks.size(), .running = ranks.size() - static_cast<std::size_t>(stopped)};
}

std::optional<int> LaunchedRanks::ended() {
  int status = 0;
  if (!running_ || waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  running_ = false;
  return exit_code_of(status);
}

HeldDirectory::HeldDirectory(const fs::path& parent, double least_age_s) {
  remove_left(parent, least_age_s);
  std::string name = (parent / (std::string(kPrefix) + "XXXXXX")).string();
  if (!mkdtemp(name.data())) return;
  path_ = name;
  held_ = open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (held_ >= 0) flock(held_, LOCK_EX | LOCK_NB);
}

HeldDirectory::~HeldDirectory() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (held_ >= 0) close(held_);
}

MpiFiles::MpiFiles() : session_(fs::temp_directory_path()), segments_("/dev/shm") {}

std::vector<std::pair<std::string, std::string>> MpiFiles::environment() const {
  std::vector<std::pair<std::string, std::string>> variables;
  if (!session_.path().empty()) variables.emplace_back("TMPDIR", session_.path());
  for (const char* name :
       {"OMPI_MCA_btl_sm_backing_directory", "OMPI_MCA_btl_vader_backing_directory"})
    if (!segments_.path().empty()) variables.emplace_back(name, segments_.path());
  return variables;
}

void adopt_orphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

std::vector<pid_t> children() { return children_of(getpid()); }

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  std::error_code gone;
  for (fs::directory_iterator entry("/proc", gone), end; !gone && entry != end;
       entry.increment(gone)) {
    pid_t pid = 0;
    if (read_value(std::string_view(entry->path().filename().native()), pid) &&
        parent_of(entry->path()) == parent)
      found.push_back(pid);
  }
  return found;
}

bool kill_children(const std::vector<pid_t>& spared, double seconds) {
  const double deadline = seconds_now() + seconds;
  do {
    bool any = false;
    for (const pid_t pid : children()) {
      if (std::find(spared.begin(), spared.end(), pid) != spared.end()) continue;
      any = true;
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, WNOHANG);
    }
    if (!any) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  } while (seconds_now() < deadline);
  return false;
}

}  // namespace lockstep
