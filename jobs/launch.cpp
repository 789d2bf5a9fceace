// lockstep launch -n N [--threads T] SUBCOMMAND ...: runs the mpirun of the MPI that lockstep was
// built with. A bare `mpirun` may be another MPI's: every rank would then be alone in a world of its
// own. A training is supervised; for other subcommands the process becomes mpirun.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>
#include <vector>

#include "data/error.h"
#include "data/files.h"
#include "jobs/bench.h"
#include "jobs/child_process.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/cores.h"
#include "jobs/job_file.h"
#include "jobs/launch_plan.h"
#include "jobs/plan_input.h"
#include "jobs/planned_needs.h"
#include "jobs/slurm_script.h"
#include "jobs/supervise.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

/// How many words come before the subcommand: its options are not ours.
std::size_t count_own_words(std::span<const std::string> words) {
  std::size_t i = 0;
  while (i < words.size() && words[i].starts_with('-')) {
    const bool value_follows = words[i] == "-n" || words[i] == "--ranks" ||
                               words[i] == "--threads" || words[i] == "--max-failures" ||
                               words[i] == "--wait" || words[i] == "--nodes" ||
                               words[i] == "--time" || words[i] == "--sbatch";
    i += value_follows ? 2 : 1;
  }
  return std::min(i, words.size());
}

fs::path program_path() { return fs::read_symlink("/proc/self/exe"); }

/// Relative to the program where it lies in the same tree, installed or built, so that a moved tree works.
fs::path find_mpirun(const fs::path& program) {
  const fs::path installed =
      (program.parent_path() / "../lib/lockstep/bin/mpiexec").lexically_normal();
  if (fs::path(LOCKSTEP_MPIRUN).is_relative() && fs::exists(installed)) return installed;
  const fs::path mpirun = (program.parent_path() / LOCKSTEP_MPIRUN).lexically_normal();
  if (!fs::exists(mpirun)) {
    throw MissingFileError("the mpirun that lockstep was built with, " + mpirun.string() +
                           ", is gone; install it again and build lockstep with it");
  }
  return mpirun;
}

[[noreturn]] void become(const LaunchPlan& plan) {
  for (const auto& [name, value] : plan.environment) setenv(name.c_str(), value.c_str(), 1);
  const std::vector<char*> words = words_to_execute(plan.command);
  std::cout.flush();
  execvp(words[0], words.data());
  throw IoError("cannot start " + plan.command[0] + ": " + std::strerror(errno));
}

/// The job of `train JOB.cfg ...`; nothing if that is not what shall run, or only asks for help.
std::optional<Job> job_to_supervise(std::span<const std::string> command) {
  if (command[0] != "train") return std::nullopt;
  const auto words = command.subspan(1);
  for (const char* asks : {"--help", "-h", "--help-job"})
    if (std::find(words.begin(), words.end(), asks) != words.end()) return std::nullopt;
  const auto values = parse_command_line(train_syntax(), words);
  const auto job = job_arguments(*values);
  return load_job(job->file, job->overrides);
}

struct BatchOptions {
  int nodes = 0;
  std::int64_t minutes = 0;  // 0: as planned
  std::vector<std::string> sbatch_words;
};

/// Minutes. @throws ConfigError.
std::int64_t time_limit(const std::string& text) {
  const auto minutes = minutes_of_limit(text);
  if (!minutes)
    throw ConfigError("lockstep launch: --time " + text +
                      ": give minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS");
  return *minutes;
}

/// The environment as it is now: measuring starts MPI, which puts words of its own into it.
std::vector<std::string> environment_of_this_process() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) variables.emplace_back(*variable);
  return variables;
}

/// Lets sbatch submit, with `environment`. Its own exit code says only whether it did.
void run_sbatch(const std::vector<std::string>& command, std::vector<std::string> environment) {
  std::vector<char*> variables;
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  pid_t sbatch = 0;
  std::cout.flush();
  const int error = posix_spawnp(&sbatch, command[0].c_str(), nullptr, nullptr,
                                 words_to_execute(command).data(), variables.data());
  if (error == ENOENT)
    throw MissingFileError(
        "there is no sbatch in PATH; --slurm submits from a machine of a Slurm cluster. --dry-run "
        "prints the batch script");
  if (error != 0) throw IoError("cannot start sbatch: " + std::string(std::strerror(error)));
  if (const int code = wait_for_end(sbatch); code != 0)
    throw ConfigError(
        "lockstep launch --slurm: sbatch did not take the job (it said why above, and ended with " +
        std::to_string(code) + "); other ranks, --nodes, --threads, --time or --sbatch may do");
}

/// Writes the batch script beside the run's directory, and submits it.
int submit(const LaunchRequest& launch, const BatchOptions& options, bool dry_run) {
  const auto job = job_to_supervise(launch.arguments);
  if (!job)
    throw ConfigError(
        "lockstep launch --slurm: submits trainings only, as in: launch --slurm -n 8 train "
        "JOB.cfg");
  const std::vector<std::string> before = environment_of_this_process();
  const int threads = launch.threads > 0 ? launch.threads : std::max(1, job->parallel.threads);
  const int ranks = std::max(1, launch.ranks - job->parallel.spares);
  const PlannedNeeds needs =
      PlannedJob(*job, plan_input(*job), {.ranks = ranks, .threads = threads}).needs();
  const fs::path directory = fs::absolute(job->run.directory);
  const SlurmRequest request{.name = job->run.name,
                             .ranks = launch.ranks,
                             .nodes = options.nodes,
                             .threads = threads,
                             .mib_per_rank = mib_to_ask_for(needs.report.most_memory()),
                             .minutes = options.minutes > 0
                                            ? options.minutes
                                            : minutes_to_ask_for(needs.steps, needs.report.seconds),
                             .program = launch.program,
                             .log = directory / (job->run.name + ".log"),
                             .sbatch_words = options.sbatch_words};
  const fs::path script = directory / (job->run.name + ".sbatch");
  LaunchPlan plan{.environment = {}, .command = {"sbatch", script.string()}};
  plan.command.insert(plan.command.end(), launch.arguments.begin() + 1, launch.arguments.end());
  std::cerr << "planned: " << needs.steps << " steps of " << fixed(1e3 * needs.report.seconds, 1)
            << " ms (" << needs.origin << ", without messages between nodes), "
            << (needs.report.most_memory() >> 20) << " MiB a rank\n";
  if (dry_run) {
    std::cout << batch_script(request) << "# " << to_shell(plan) << "\n";
    return 0;
  }
  create_directories_durably(directory);
  write_file_durably(script, batch_script(request));
  std::cerr << to_shell(plan) << "\n";
  run_sbatch(plan.command, before);
  return 0;
}

}  // namespace

int run_launch(std::span<const std::string> arguments) {
  int ranks = 0, threads = 0;
  RestartOptions restarts;
  BatchOptions batch;
  CommandSyntax syntax;
  syntax.usage = "launch -n N [OPTIONS] SUBCOMMAND ...";
  syntax.about =
      "Runs `lockstep SUBCOMMAND ...` on N ranks with the mpirun of the MPI that lockstep was "
      "built\n"
      "with, each rank on cores of its own where there are enough. Exits with the ranks' exit "
      "code.\n"
      "A training that fails is started again from its newest good checkpoint. Ctrl-C, SIGTERM, "
      "SIGHUP\n"
      "and SIGUSR1 make it finish the step, save and exit with 75; Ctrl-C or SIGTERM again ends it "
      "at once.";
  syntax.options.add_options()("ranks,n", po::value<int>(&ranks)->value_name("N")->required(),
                               "How many ranks.")(
      "threads", po::value<int>(&threads)->value_name("T"),
      "Threads of each rank. Default: its share of the cores.")(
      "max-failures", po::value<int>(&restarts.most_failures)->value_name("F"),
      "train: give up after more than F failures without progress. Default: 5; 0: never start "
      "again.")(
      "wait", po::value<double>(&restarts.first_wait_s)->value_name("S"),
      "train: seconds before the second restart without progress; doubled at each, up to 60. "
      "Default: 1.")("slurm",
                     "train: submit a batch job instead (slurm/train.sbatch), with memory and time "
                     "from the plan; it is "
                     "written to DIRECTORY/NAME.sbatch.")(
      "nodes", po::value<int>(&batch.nodes)->value_name("N"),
      "slurm: how many nodes. Default: as Slurm places the ranks.")(
      "time", po::value<std::string>()->value_name("LIMIT"),
      "slurm: the time limit, as sbatch takes it: minutes, MM:SS, HH:MM:SS or D-HH[:MM[:SS]]. "
      "Default: half as long again as predicted, and 5 minutes.")(
      "sbatch", po::value<std::vector<std::string>>(&batch.sbatch_words)->value_name("OPTION"),
      "slurm: one more option of sbatch, as in --sbatch=--partition=long; may be repeated.")(
      "dry-run", "Print the command (slurm: the script, too) instead of running it.");
  const std::size_t own = count_own_words(arguments);
  const auto values = parse_command_line(syntax, arguments.first(own));
  if (!values) return 0;
  if (ranks < 1) throw ConfigError("lockstep launch: -n must be at least 1");
  if (values->count("threads") && threads < 1) {
    throw ConfigError("lockstep launch: --threads must be at least 1");
  }
  if (restarts.most_failures < 0 || !(restarts.first_wait_s >= 0))
    throw ConfigError("lockstep launch: --max-failures and --wait must be at least 0");
  if (own == arguments.size()) {
    throw ConfigError("lockstep launch: what shall run? Add a subcommand, as in: train JOB.cfg");
  }
  find_command(arguments[own]);  // MPI need not start to find that it is misspelt

  for (const char* option : {"nodes", "time", "sbatch"}) {
    if (values->count(option) && !values->count("slurm"))
      throw ConfigError(std::string("lockstep launch: --") + option + " is for --slurm");
  }
  if (values->count("nodes") && batch.nodes < 1)
    throw ConfigError("lockstep launch: --nodes must be at least 1");
  if (values->count("time")) batch.minutes = time_limit((*values)["time"].as<std::string>());

  LaunchRequest request;
  request.ranks = ranks;
  request.threads = threads;
  request.cores = usable_cores() * nodes_of_allocation();
  request.as_root = geteuid() == 0;
  request.program = program_path();
  request.arguments.assign(arguments.begin() + static_cast<std::ptrdiff_t>(own), arguments.end());
  // No subcommand has a --dry-run of its own, so it may stand anywhere.
  const bool dry_run =
      std::erase(request.arguments, "--dry-run") > 0 || values->count("dry-run") > 0;
  if (values->count("slurm")) return submit(request, batch, dry_run);
  request.mpirun = find_mpirun(request.program);
  std::optional<Job> job;
  try {
    job = job_to_supervise(request.arguments);
  } catch (const MissingFileError&) {
    if (!dry_run) throw;  // else it may be written later
  }
  request.ulfm = job && job->parallel.on_rank_lost == "shrink" && mpi_has_ulfm();
  const LaunchPlan plan = plan_launch(request);
  if (dry_run) {
    std::cout << to_shell(plan) << "\n";
    return 0;
  }
  if (!job) become(plan);
  const SuperviseOptions options{.run_directory = fs::path(job->run.directory) / job->run.name,
                                 .begins_anew = !job->run.resume,
                                 .ranks_may_go = request.ulfm,
                                 .ranks = static_cast<std::size_t>(ranks),
                                 .one_node = nodes_of_allocation() == 1,
                                 .restarts = restarts};
  return supervise(plan, options);
}

}  // namespace lockstep
