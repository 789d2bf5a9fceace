// lockstep train: trains the model of a job, on one rank or on all ranks that a launcher started.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string_view>
#include <vector>

#include "coordinator/survivors.h"
#include "coordinator/trainer.h"
#include "data/error.h"
#include "data/number_text.h"
#include "data/timing.h"
#include "jobs/checkpoint_job.h"
#include "jobs/child_process.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/job_file.h"
#include "jobs/launch_plan.h"
#include "jobs/run_progress.h"
#include "worker/comm/mpi.h"
#include "worker/comm/network_check.h"
#include "worker/comm/preflight.h"

namespace lockstep {

namespace {

volatile std::sig_atomic_t stop_requested = 0;

void request_stop(int signal) {
  stop_requested = 1;
  if (signal != SIGINT) return;
  constexpr std::string_view kWord =
      "\nlockstep: interrupted: finishes the step and saves; again: ends at once\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kWord.data(), kWord.size());
}

/// SIGUSR1 (before a time limit), SIGTERM (preemption), SIGHUP (the terminal is gone) and the first SIGINT (Ctrl-C):
/// finish the step, save, exit 75. The second SIGINT ends the process.
void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  if (!ignores(SIGHUP)) sigaction(SIGHUP, &action, nullptr);  // nohup has it ignored
  action.sa_flags |= SA_RESETHAND;
  if (!ignores(SIGINT)) sigaction(SIGINT, &action, nullptr);
}

WatchdogPlace watchdog_place(const Job& job) {
  const ReadVariable read = [](const char* name) { return std::getenv(name); };
  const auto launcher = launcher_size(read);
  return {.run_directory = std::filesystem::path(job.run.directory) / job.run.name,
          .start = name_of_start(),
          .rank = launcher_rank(read).value_or(0),
          .ranks = launcher ? launcher->ranks : 1};
}

/// As it can be typed again.
std::string command_line(std::span<const std::string> arguments) {
  std::string line = "lockstep train";
  for (const std::string& word : arguments) line.append(" ").append(shell_quoted(word));
  return line;
}

/// For a supervisor: mpirun's exit code tells of the lost rank.
void leave_end(const std::filesystem::path& run_directory, int code) {
  try {
    write_end(run_directory, code);
  } catch (const IoError& error) {
    spdlog::warn("a supervisor may start this run again, to find that it has ended: {}",
                 error.what());
  }
}

/// A training on this rank, through losses of others.
class Training {
 public:
  Training(const Job& job, RunStart run_start, Survivors& ranks, Watchdog& watchdog,
           FaultInjector& faults)
      : job_(job),
        run_start_(std::move(run_start)),
        ranks_(ranks),
        watchdog_(watchdog),
        faults_(faults) {}

  /// Returns the exit code.
  int run() {
    for (;;) {
      if (const auto code = round()) return *code;
      listening_.reset();
      const std::string lost = ranks_.come_together();
      if (ranks_.world().rank() == 0)
        spdlog::warn("lost: {}; {} ranks are left", lost, ranks_.world().size());
      recovery_.lost += (recovery_.lost.empty() ? "" : ", ") + lost;
      faults_.after_loss(ranks_.losses());
    }
  }

 private:
  std::optional<int> round();
  int train(std::optional<Trainer>& trainer, const Communicator& world);
  void tell(const Trainer& trainer, int code) const;

  const Job& job_;
  RunStart run_start_;
  Survivors& ranks_;
  Watchdog& watchdog_;
  FaultInjector& faults_;
  Recovery recovery_;
  TrainingEnd end_ = TrainingEnd::kDone;
  std::optional<Watchdog::Listening> listening_;
};

int Training::train(std::optional<Trainer>& trainer, const Communicator& world) {
  const bool recovers = ranks_.losses() > 0;
  try {
    trainer.emplace(job_, run_start_, world, stop_requested, watchdog_, faults_,
                    recovers ? &recovery_ : nullptr);
  } catch (const ConfigError& error) {
    if (!recovers) throw;
    throw CommError("the ranks that are left cannot go on (" + std::string(error.what()) +
                    "): start again");
  }
  recovery_.mine.reset();  // the trainer has it
  ranks_.tell(0);
  const TrainingEnd end = trainer->run();
  watchdog_.enter(Activity::kEnd, 0);
  end_ = end;
  const int code = end == TrainingEnd::kStoppedBySignal ? static_cast<int>(ExitCode::kRequeue) : 0;
  ranks_.tell(code);
  return code;
}

/// Until the training ends, or a rank is lost: then nothing, and the trainer's state is kept.
std::optional<int> Training::round() {
  const Communicator& all = ranks_.world();
  listening_.emplace(watchdog_, all.log());
  watchdog_.agree(watchdog_.directory(), all.rank(), all.size());
  watchdog_.enter(Activity::kStart, 0);
  spdlog::set_level(all.rank() > 0 ? spdlog::level::warn : spdlog::level::info);
  const int training = ranks_.training();
  std::optional<Communicator> part;  // of the ranks that train, or of the spares
  std::optional<Trainer> trainer;
  std::optional<int> code;
  try {
    if (training < all.size())
      part.emplace(all.split(all.rank() < training ? 0 : 1, all.rank(), "training"));
    if (all.rank() < training) {
      code = train(trainer, part ? *part : all);
    } else {
      watchdog_.enter(Activity::kSpare, 0);
      ranks_.wait_for_word();
      // the run has begun, or goes on, and those who train have told of it
      recovery_ = {.reached = 0};
      code = ranks_.wait_for_word();
    }
  } catch (const CommError& error) {
    if (!ranks_.is_loss(error)) throw;
    watchdog_.enter(Activity::kStart, 0);  // a spare's has no deadline
    ranks_.wake();
  }
  const double ended_s = seconds_now();
  if (ranks_.end_together(code.has_value())) {
    if (all.rank() == 0) tell(*trainer, *code);
    return code;
  }
  if (recovery_.noticed_s == 0) recovery_.noticed_s = ended_s;
  ranks_.wake();  // groups that are destroyed now are of no use to anybody
  if (trainer) trainer->carry_into(recovery_);
  return std::nullopt;
}

void Training::tell(const Trainer& trainer, int code) const {
  if (trainer.last_validation())
    std::cout << (trainer.last_validation()->mean_iou ? "validation mean IoU "
                                                      : "validation accuracy ")
              << four_digits(100 * trainer.last_validation()->score()) << "%\n";
  std::cout << "run directory " << trainer.run_directory().string() << "\n";
  if (job_.parallel.on_rank_lost == "shrink") leave_end(trainer.run_directory(), code);
  if (end_ == TrainingEnd::kStoppedBySignal)
    spdlog::info("stopped by a signal at step {} of {}, saved; start again to go on",
                 trainer.steps_done(), trainer.total_steps());
  if (end_ == TrainingEnd::kStoppedAsAsked)
    spdlog::info("stopped as asked at step {} of {}, saved; start again to go on",
                 trainer.steps_done(), trainer.total_steps());
  if (end_ == TrainingEnd::kDone && trainer.steps_taken() == 0)
    spdlog::info("finished at step {}; raise {} to go on", trainer.steps_done(),
                 job_.train.max_steps > 0 && trainer.steps_done() >= job_.train.max_steps
                     ? "train.max_steps"
                     : "train.epochs");
}

void warn_without_ulfm(const Survivors& ranks, const ParallelOptions& options) {
  if (ranks.world().rank() > 0 || ranks.go_on() || options.on_rank_lost != "shrink" ||
      ranks.world().size() == 1)
    return;
  spdlog::warn(
      "parallel.on_rank_lost = shrink: {}; a lost rank will end the training{}",
      mpi_has_ulfm()
          ? "the launcher has not switched ULFM on (lockstep launch does, or mpirun --with-ft ulfm)"
          : "this MPI has no ULFM (Open MPI 5 has)",
      options.spares > 0 ? ", and spares are of no use" : "");
}

}  // namespace

int run_train(std::span<const std::string> arguments) {
  const auto values = parse_command_line(train_syntax(), arguments);
  if (!values) return 0;
  const auto job_file = job_arguments(*values);
  if (!job_file) return 0;
  SaidJob said = load_said_job(job_file->file, job_file->overrides);
  const Job& job = said.job;

  std::vector<Fault> injected;
  if (values->count("fault"))
    for (const std::string& text : (*values)["fault"].as<std::vector<std::string>>())
      injected.push_back(parse_fault(text));

  install_signal_handlers();
  const WatchdogPlace place = watchdog_place(job);
  Watchdog watchdog(job.watchdog, place);  // starting MPI may hang too
  FaultInjector faults(std::move(injected), place.run_directory, place.rank);
  faults.at_start();
  MpiSession mpi;
  check_network({job.watchdog.network_s, place.run_directory / ("network-" + place.start)});
  Survivors ranks(job.parallel);
  const Communicator& world = ranks.world();
  std::string hang = watchdog.directory().string();
  world.broadcast(hang, 0, "directory of hangs");
  watchdog.agree(hang, world.rank(), world.size());
  {
    const Watchdog::Listening listening(watchdog, world.log());
    for (const std::string& warning : preflight(world).warnings)
      if (world.rank() == 0) spdlog::warn("{}", warning);
    fit_to_run(said, world);
  }
  warn_without_ulfm(ranks, job.parallel);
  return Training(job, {.job_text = to_ini(job), .command_line = command_line(arguments)}, ranks,
                  watchdog, faults)
      .run();
}

}  // namespace lockstep
