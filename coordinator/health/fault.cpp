#include "coordinator/health/fault.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <limits>
#include <string_view>
#include <thread>
#include <utility>

#include "data/error.h"
#include "data/timing.h"

namespace lockstep {
namespace {

constexpr std::array<std::pair<std::string_view, FaultKind>, 8> kKinds{{
    {"kill", FaultKind::kKill},
    {"stop", FaultKind::kStop},
    {"slow", FaultKind::kSlow},
    {"flip", FaultKind::kFlip},
    {"nan", FaultKind::kNan},
    {"full", FaultKind::kFull},
    {"pin", FaultKind::kPin},
    {"again", FaultKind::kAgain},
}};

void limit_files(rlim_t most) {
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = std::min(most, limit.rlim_max);
  setrlimit(RLIMIT_FSIZE, &limit);
}

void pin_to_first_cpu() {
  cpu_set_t may, first;
  CPU_ZERO(&may);
  CPU_ZERO(&first);
  sched_getaffinity(0, sizeof may, &may);
  int cpu = 0;
  while (cpu + 1 < CPU_SETSIZE && !CPU_ISSET(cpu, &may)) ++cpu;
  CPU_SET(cpu, &first);
  sched_setaffinity(0, sizeof first, &first);
}

void flip_a_bit(std::span<float> values) {
  constexpr std::uint32_t kMantissa = 1u << 20;
  auto& word = reinterpret_cast<std::uint32_t&>(values[values.size() / 2]);
  word ^= kMantissa;
}

}  // namespace

Fault parse_fault(const std::string& text) {
  Fault fault;
  std::array<char, 8> name{};
  long long step = 0;
  int end = 0;
  if (std::sscanf(text.c_str(), "%7[a-z]:%d:%lld%n", name.data(), &fault.rank, &step, &end) == 3 &&
      static_cast<std::size_t>(end) == text.size() && fault.rank >= 0 && step >= 1) {
    fault.step = step;
    for (const auto& [word, kind] : kKinds) {
      if (word != name.data()) continue;
      fault.kind = kind;
      return fault;
    }
  }
  throw ConfigError("'" + text +
                    "' is no fault; write KIND:RANK:STEP with KIND kill, stop, slow, flip, nan, "
                    "full, pin or again, as in kill:1:20");
}

FaultInjector::FaultInjector(std::vector<Fault> faults, std::filesystem::path run_directory,
                             int rank)
    : faults_(std::move(faults)), run_directory_(std::move(run_directory)), rank_(rank) {
  std::erase_if(faults_, [rank](const Fault& fault) { return fault.rank != rank; });
}

/// True once in a run.
bool FaultInjector::comes(FaultKind kind, std::int64_t step) {
  for (const Fault& fault : faults_)
    if (fault.kind == kind && fault.step == step) return mark(fault);
  return false;
}

/// False if the run has had it.
bool FaultInjector::mark(const Fault& fault) const {
  const std::string kind(kKinds[static_cast<std::size_t>(fault.kind)].first);
  const std::filesystem::path marker =
      run_directory_ /
      ("fault-" + kind + "-" + std::to_string(rank_) + "-" + std::to_string(fault.step));
  std::error_code ignored;
  std::filesystem::create_directories(run_directory_, ignored);
  const int file = open(marker.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (file < 0) return false;
  close(file);
  return true;
}

/// The words get through the launcher before the signal comes.
void FaultInjector::end_after_saying(const std::string& what, int signal) const {
  say(what);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  raise(signal);
}

void FaultInjector::say(const std::string& what) const {
  std::fprintf(stderr, "lockstep: fault: rank %d, process %d, %s\n", rank_, getpid(), what.c_str());
  std::fflush(stderr);
}

void FaultInjector::at_start() {
  for (const Fault& fault : faults_) {
    if (fault.kind != FaultKind::kPin || !mark(fault)) continue;
    say("binds itself to its first CPU");
    pin_to_first_cpu();
  }
}

void FaultInjector::before_step(std::int64_t step, ModelState* state) {
  if (faults_.empty()) return;
  const std::string when = " before step " + std::to_string(step);
  if (comes(FaultKind::kKill, step)) end_after_saying("kills itself" + when, SIGKILL);
  if (comes(FaultKind::kStop, step)) end_after_saying("stops itself" + when, SIGSTOP);
  if (state && comes(FaultKind::kFlip, step)) {
    say("flips a bit of a parameter" + when);
    flip_a_bit(state->parameters());
  }
  if (comes(FaultKind::kFull, step)) {
    say("has no room for files" + when);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(1024);
    full_saves_ = 2;
  }
  if (comes(FaultKind::kSlow, step)) {
    say("is slow from now on," + when);
    slow_ = true;
  }
  const double now = seconds_now();
  if (!slow_ && step_began_s_ > 0) step_took_s_ = now - step_began_s_;
  step_began_s_ = now;
  // much more than the system takes a waiting process the CPU away for
  constexpr double kLeast_s = 0.1;
  if (slow_)
    std::this_thread::sleep_for(std::chrono::duration<double>(std::max(kLeast_s, step_took_s_)));
}

void FaultInjector::spoil(std::int64_t step, std::span<const float> pixels) {
  if (pixels.empty() || !comes(FaultKind::kNan, step)) return;
  say("spoils a pixel of step " + std::to_string(step));
  // the loader's memory
  const_cast<float&>(pixels[pixels.size() / 2]) = std::numeric_limits<float>::quiet_NaN();
}

void FaultInjector::after_save() {
  if (full_saves_ == 0 || --full_saves_ > 0) return;
  limit_files(RLIM_INFINITY);
  say("has room for files again");
}

void FaultInjector::after_loss(int losses) {
  if (comes(FaultKind::kAgain, losses)) end_after_saying("kills itself, too", SIGKILL);
}

}  // namespace lockstep
