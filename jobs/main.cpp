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
#include "data/version.h"
#include "jobs/commands.h"
#include "jobs/exit_codes.h"
#include "worker/comm/mpi.h"
#include "worker/comm/preflight.h"

namespace lockstep {
namespace {

void print_help(std::ostream& out) {
  out << "lockstep " << version() << ": trains deep residual networks on CPU clusters.\n\n"
      << "Usage: lockstep SUBCOMMAND [OPTIONS]   (lockstep SUBCOMMAND --help tells more)\n\n";
  for (const Command& command : commands()) {
    out << "  " << command.name << std::string(10 - std::string(command.name).size(), ' ')
        << command.about << "\n";
  }
  out << "\n  --help    Print this help\n  --version Print the version\n\nExit codes:\n";
  for (const ExitCodeMeaning& code : exit_codes())
    out << "  " << code.code << std::string(10 - std::string(code.code).size(), ' ') << code.meaning
        << "\n";
}

/// A result that could not be written is a failure.
int flushed(int code) {
  if (!std::cout.flush())
    throw IoError("the output of the command cannot be written; is the disk full?");
  return code;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    print_help(std::cerr);
    return static_cast<int>(ExitCode::kUsage);
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h") {
    print_help(std::cout);
    return flushed(0);
  }
  if (name == "--version") {
    std::cout << "lockstep " << version() << "\n";
    return flushed(0);
  }
  return flushed(find_command(name).run(std::span(arguments).subspan(1)));
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
  // srun drops what it has not passed on yet when it ends the other tasks.
  if (rank) std::this_thread::sleep_for(std::chrono::milliseconds(100));
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
