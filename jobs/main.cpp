// The program `lockstep`: finds the subcommand, and is the only place that prints errors and exits.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "data/error.h"
#include "data/spelling.h"
#include "data/version.h"
#include "jobs/commands.h"
#include "worker/comm/mpi.h"
#include "worker/comm/preflight.h"

namespace lockstep {
namespace {

struct Command {
  const char* name;
  const char* about;
  int (*run)(std::span<const std::string> arguments);
};

constexpr Command kCommands[] = {
    {"train", "Train a model, or resume its training", run_train},
    {"eval", "Loss and accuracy of a checkpoint", run_eval},
    {"inspect", "Show what a checkpoint, a run or a data set is", run_inspect},
    {"data", "Pack a data set into one file, or check it", run_data},
    {"plan", "Show memory, work and messages of a job before it runs", run_plan},
    {"bench", "Time a part of lockstep on this machine", run_bench},
    {"launch", "Start a subcommand on several ranks of this machine", run_launch},
    {"drill", "Disturb a small training on purpose, and see it recover", run_drill},
};

void print_help(std::ostream& out) {
  out << "lockstep " << version() << ": trains deep residual networks on CPU clusters.\n\n"
      << "Usage: lockstep SUBCOMMAND [OPTIONS]   (lockstep SUBCOMMAND --help tells more)\n\n";
  for (const Command& command : kCommands) {
    out << "  " << command.name << std::string(10 - std::string(command.name).size(), ' ')
        << command.about << "\n";
  }
  out << "\n  --help    Print this help\n  --version Print the version\n";
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    print_help(std::cerr);
    return static_cast<int>(ExitCode::kUsage);
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h") {
    print_help(std::cout);
    return 0;
  }
  if (name == "--version") {
    std::cout << "lockstep " << version() << "\n";
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (name == command.name) return command.run(std::span(arguments).subspan(1));
    names.push_back(command.name);
  }
  throw ConfigError("unknown subcommand '" + name + "'; did you mean '" +
                    nearest_word(name, names) + "'? lockstep --help lists them all");
}

/// This rank, if a launcher started more than one; known before MPI is.
std::optional<int> rank_of_many() {
  const ReadVariable read = [](const char* name) { return std::getenv(name); };
  const auto launched = launcher_size(read);
  return launched && launched->ranks > 1 ? launcher_rank(read) : std::nullopt;
}

/// Prints the error and ends the process, and all other ranks with it.
[[noreturn]] void fail(ExitCode code, const std::string& message) {
  const auto rank = rank_of_many();
  // An error that all ranks have is rank 0's to tell: it ends the job while the others wait here.
  if (rank && *rank > 0) std::this_thread::sleep_for(std::chrono::seconds(1));
  std::cout.flush();
  const std::string who = rank ? "rank " + std::to_string(*rank) + ": " : "";
  std::cerr << "lockstep: error: " + who + message + "\n" << std::flush;
  MpiSession::abort(static_cast<int>(code));
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  using namespace lockstep;
  // Log lines go to stderr: what a command prints as its result stays alone on stdout.
  spdlog::set_default_logger(spdlog::stderr_logger_mt("lockstep"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S %l: %v");
  try {
    return run({argv + 1, argv + argc});
  } catch (const Error& error) {
    fail(error.exit_code(), error.what());
  } catch (const std::bad_alloc&) {
    fail(ExitCode::kInternal, "out of memory; use a smaller train.batch or more ranks");
  } catch (const std::exception& error) {
    fail(ExitCode::kInternal, std::string("internal error: ") + error.what());
  }
}
