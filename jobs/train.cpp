// lockstep train: trains the model of a job, on one rank or on all ranks that a launcher started.
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "coordinator/trainer.h"
#include "data/error.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/job_file.h"
#include "jobs/launch_plan.h"
#include "worker/comm/mpi.h"
#include "worker/comm/preflight.h"

namespace lockstep {

namespace {

volatile std::sig_atomic_t stop_requested = 0;

void request_stop(int) { stop_requested = 1; }

/// SIGUSR1 (before a time limit) and SIGTERM (preemption): finish the step, save, exit 75.
void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = request_stop;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
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

}  // namespace

int run_train(std::span<const std::string> arguments) {
  const auto values = parse_command_line(train_syntax(), arguments);
  if (!values) return 0;
  const auto job_file = job_arguments(*values);
  if (!job_file) return 0;
  const Job job = load_job(job_file->file, job_file->overrides);

  std::optional<Fault> fault;
  if (values->count("fault")) fault = parse_fault((*values)["fault"].as<std::string>());

  install_signal_handlers();
  const WatchdogPlace place = watchdog_place(job);
  Watchdog watchdog(job.watchdog, place);  // starting MPI may hang too
  FaultInjector faults(fault, place.run_directory, place.rank);
  faults.at_start();
  MpiSession mpi;
  const Communicator world = Communicator::world();
  std::string hang = watchdog.directory().string();
  world.broadcast(hang, 0, "directory of hangs");
  watchdog.agree(hang, world.rank(), world.size());
  const Watchdog::Listening listening(watchdog, world.log());
  if (world.rank() > 0) spdlog::set_level(spdlog::level::warn);
  for (const std::string& warning : preflight(world).warnings)
    if (world.rank() == 0) spdlog::warn("{}", warning);

  const RunStart run_start{.job_text = to_ini(job), .command_line = command_line(arguments)};
  Trainer trainer(job, run_start, world, stop_requested, watchdog, faults);
  const TrainingEnd end = trainer.run();
  watchdog.enter(Activity::kEnd, 0);
  if (world.rank() == 0) {
    if (trainer.last_validation())
      std::cout << (trainer.last_validation()->mean_iou ? "validation mean IoU " : "validation accuracy ")
                << 100 * trainer.last_validation()->score() << "%\n";
    std::cout << "run directory " << trainer.run_directory().string() << "\n";
  }
  if (end == TrainingEnd::kDone) return 0;
  if (world.rank() == 0) spdlog::info("stopped by a signal after a checkpoint; start again to resume");
  return static_cast<int>(ExitCode::kRequeue);
}

}  // namespace lockstep
