#include "jobs/supervise.h"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iostream>
#include <optional>
#include <vector>

#include "coordinator/progress.h"
#include "coordinator/stop_file.h"
#include "data/error.h"
#include "data/timing.h"
#include "jobs/child_process.h"
#include "jobs/launched_ranks.h"
#include "jobs/run_progress.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr double kRepeat_s = 1;  // a signal may come before the ranks listen: it is said again
constexpr double kKillMost_s = 20;
constexpr double kEndMost_s = 5;  // mpirun's, after its ranks': with ULFM it may wait on for ever
constexpr double kLook_s = 0.5;   // whether it does

/// The signals that a supervisor acts on, as a file: nothing happens between two looks at it.
class Signals {
 public:
  Signals() {
    sigset_t mine;
    sigemptyset(&mine);
    for (int number : {SIGTERM, SIGUSR1, SIGHUP, SIGINT, SIGCHLD})
      if (number == SIGCHLD || !ignores(number))
        sigaddset(&mine, number);  // nohup has SIGHUP ignored
    sigprocmask(SIG_BLOCK, &mine, &before_);
    file_ = signalfd(-1, &mine, SFD_NONBLOCK | SFD_CLOEXEC);
    if (file_ < 0) throw IoError(std::string("cannot listen to signals: ") + std::strerror(errno));
  }
  ~Signals() {
    close(file_);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int file() const { return file_; }
  const sigset_t& before() const { return before_; }

  /// The next one, 0 if there is none.
  int take() const {
    signalfd_siginfo info{};
    return read(file_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  int file_ = -1;
};

class Supervisor {
 public:
  Supervisor(const LaunchPlan& plan, const SuperviseOptions& options)
      : plan_(plan),
        options_(options),
        reached_(read_progress(options.run_directory)),
        record_(record_of_starts()),
        policy_(options.restarts, options.begins_anew ? RunProgress{} : reached_) {}

  int run();

 private:
  Ending run_once();
  int wait_for(LaunchedRanks& ranks);
  bool is_over(LaunchedRanks& ranks);
  void listen(LaunchedRanks* ranks);
  void wait(double seconds);
  LaunchPlan next_plan() const;
  void tell(const Ending& ending, const RestartDecision& decision);
  void note_start();
  bool has_done_steps(const RunProgress& reached) const;
  std::uintmax_t record_of_starts() const;

  LaunchPlan plan_;
  SuperviseOptions options_;
  RunProgress reached_;
  std::uintmax_t record_;  // environment.json as it was; a run that has begun has another
  std::uintmax_t record_before_ = 0;  // the last start
  bool begun_ = false;                // of the last start: it has recorded itself
  std::int64_t begins_at_ = 0;        // the last start: its checkpoint
  fs::file_time_type metrics_;        // and metrics.jsonl as it was before
  RestartPolicy policy_;
  Signals signals_;
  std::vector<pid_t> spared_ = children();  // that were there before the ranks
  int stop_signals_ = 0;
  bool asked_ = false;           // by SIGTERM or SIGINT to stop
  int interrupted_ = 0;          // the second such signal: ends at once
  int restarts_ = 0, idle_ = 0;  // idle: starts that did no step
  std::int64_t steps_lost_ = 0;
};

std::uintmax_t Supervisor::record_of_starts() const {
  std::error_code none;
  const auto bytes = fs::file_size(options_.run_directory / "environment.json", none);
  return none ? 0 : bytes;
}

fs::file_time_type change_of_metrics(const fs::path& run_directory) {
  std::error_code none;
  const auto time = fs::last_write_time(run_directory / "metrics.jsonl", none);
  return none ? fs::file_time_type::min() : time;
}

/// Before a start: what it begins with.
void Supervisor::note_start() {
  record_before_ = record_of_starts();
  begun_ = false;
  const bool anew = options_.begins_anew && record_before_ == record_;
  begins_at_ = anew ? 0 : read_progress(options_.run_directory).checkpoint;
  metrics_ = change_of_metrics(options_.run_directory);
}

/// Whether the start that ended has: a start that ends at once leaves the lines of the one before.
bool Supervisor::has_done_steps(const RunProgress& reached) const {
  return reached.step > begins_at_ && change_of_metrics(options_.run_directory) != metrics_;
}

/// A run that was to begin anew has begun once it has recorded itself: from then on it resumes.
LaunchPlan Supervisor::next_plan() const {
  LaunchPlan plan = plan_;
  if (options_.begins_anew && record_of_starts() != record_)
    plan.command.insert(plan.command.end(), {"--set", "run.resume=true"});
  return plan;
}

void Supervisor::listen(LaunchedRanks* ranks) {
  while (const int number = signals_.take()) {
    if (number == SIGCHLD) continue;
    const bool insists = number == SIGTERM || number == SIGINT;
    if (insists && asked_ && interrupted_ == 0) {
      interrupted_ = number;
      spdlog::warn("launch: ends at once; what was done since the newest checkpoint is lost");
    } else if (insists && !asked_) {
      spdlog::info("launch: {}: the ranks finish the step and save; again: they end at once",
                   number == SIGINT ? "interrupted" : "terminated");
    }
    asked_ = asked_ || insists;
    ++stop_signals_;
    if (ranks) ranks->signal(interrupted_ != 0 ? SIGTERM : SIGUSR1);
  }
}

/// The training has ended, all its ranks are gone, or one before it has begun (the others may wait for it in MPI_Init for
/// ever): mpirun is to follow.
bool Supervisor::is_over(LaunchedRanks& ranks) {
  if (!options_.ranks_may_go) return false;
  if (read_end(options_.run_directory)) return true;
  const auto living = ranks.count();
  if (!living) return false;
  begun_ = begun_ || record_of_starts() != record_before_;
  return options_.one_node && living->all < options_.ranks && (living->running == 0 || !begun_);
}

/// For mpirun's exit code.
int Supervisor::wait_for(LaunchedRanks& ranks) {
  double last_said = seconds_now();
  double going_s = last_said;  // when there last were ranks to wait for
  for (;;) {
    if (const auto code = ranks.ended()) return *code;
    std::array<pollfd, 2> files{{{signals_.file(), POLLIN, 0}, {ranks.errors(), POLLIN, 0}}};
    const double most_s = options_.ranks_may_go ? kLook_s : stop_signals_ > 0 ? kRepeat_s : -1;
    poll(files.data(), files.size(), most_s < 0 ? -1 : static_cast<int>(most_s * 1000));
    ranks.pass_on_errors();
    listen(&ranks);
    if (!is_over(ranks)) going_s = seconds_now();
    if (seconds_now() - going_s > kEndMost_s) ranks.signal(SIGKILL);
    if (stop_signals_ == 0 || interrupted_ != 0 || seconds_now() - last_said < kRepeat_s) continue;
    ranks.signal(SIGUSR1);
    last_said = seconds_now();
  }
}

Ending Supervisor::run_once() {
  std::optional<MpiFiles> files_of_mpi;
  LaunchPlan plan = next_plan();
  if (options_.one_node) {
    const auto variables = files_of_mpi.emplace().environment();
    plan.environment.insert(plan.environment.end(), variables.begin(), variables.end());
  }
  if (isatty(STDERR_FILENO) != 0) plan.environment.emplace_back(kTerminalVariable, "1");
  forget_end(options_.run_directory);
  note_start();
  LaunchedRanks ranks(plan, signals_.before());
  int code = wait_for(ranks);
  if (options_.ranks_may_go) {
    const auto end = read_end(options_.run_directory);
    if (end || code == 0) code = end.value_or(static_cast<int>(ExitCode::kRankLost));
  }
  if (!kill_children(spared_, kKillMost_s))
    spdlog::warn("launch: processes of the last start cannot be killed; they hang in the kernel");
  ranks.pass_on_errors();
  return {code, ranks.words(), read_progress(options_.run_directory)};
}

/// Sleeps, but listens.
void Supervisor::wait(double seconds) {
  const double end = seconds_now() + seconds;
  for (double left = seconds; left > 0 && stop_signals_ == 0; left = end - seconds_now()) {
    pollfd file{signals_.file(), POLLIN, 0};
    poll(&file, 1, static_cast<int>(std::ceil(left * 1000)));
    listen(nullptr);
  }
}

void Supervisor::tell(const Ending& ending, const RestartDecision& decision) {
  // An error of the user's: the rank has said all.
  const auto is = [&](ExitCode code) { return ending.exit_code == static_cast<int>(code); };
  if (!decision.restart &&
      (is(ExitCode::kUsage) || is(ExitCode::kBadData) || is(ExitCode::kMissingFile)))
    return;
  const std::string how =
      describe_exit_code(ending.exit_code) + (ending.words.empty() ? "" : ": " + ending.words);
  spdlog::warn("launch: the training ended after step {}, {}", ending.reached.step, how);
  const bool worked = has_done_steps(ending.reached);
  if (!worked) ++idle_;
  if (!decision.restart) {
    spdlog::error("launch: {}", decision.why);
    return;
  }
  const std::int64_t lost =
      worked ? std::max<std::int64_t>(0, ending.reached.step - ending.reached.checkpoint) : 0;
  steps_lost_ += lost;
  spdlog::info("launch: {}; starting again {}from {}; {}", decision.why,
               decision.wait_s > 0 ? fmt::format("in {:.0f} s ", decision.wait_s) : "",
               ending.reached.checkpoint > 0
                   ? "the checkpoint of step " + std::to_string(ending.reached.checkpoint)
                   : "the beginning",
               worked ? fmt::format("{} steps will be done again", lost) : "no step was done");
}

int Supervisor::run() {
  constexpr int kRequeue = static_cast<int>(ExitCode::kRequeue);
  while (true) {
    const Ending ending = run_once();
    if (interrupted_ != 0) return 128 + interrupted_;
    const RestartDecision decision = policy_.after(ending);
    if (!decision.why.empty()) tell(ending, decision);
    if (!decision.restart) {
      if (restarts_ > 0)
        spdlog::info(
            "launch: {} restarts, {} steps done again{}", restarts_, steps_lost_,
            idle_ > 0 ? fmt::format(" ({} starts ended before their first step)", idle_) : "");
      return ending.exit_code;
    }
    // Asked to stop, and the ranks failed meanwhile: what is on the disk is where to go on.
    if (stop_signals_ == 0) wait(decision.wait_s);
    if (stop_signals_ > 0) return interrupted_ != 0 ? 128 + interrupted_ : kRequeue;
    if (take_stop_file(options_.run_directory)) {
      spdlog::info("launch: asked to stop meanwhile; not started again. Start it again to go on");
      std::cout << "run directory " << options_.run_directory.string()
                << std::endl;  // as a training does that came to its end
      return 0;
    }
    ++restarts_;
  }
}

}  // namespace

int supervise(const LaunchPlan& plan, const SuperviseOptions& options) {
  adopt_orphans();
  signal(SIGPIPE, SIG_IGN);  // who reads the log may end before the training does
  std::cout.flush();
  return Supervisor(plan, options).run();
}

}  // namespace lockstep
