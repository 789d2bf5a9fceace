// The program `lockstep`: finds the subcommand, and is the only place that prints errors and exits.
#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "data/error.h"
#include "data/version.h"
#include "jobs/commands.h"
#include "jobs/launcher_rank.h"
#include "jobs/spelling.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

struct Command {
  const char* name;
  const char* about;
  int (*run)(std::span<const std::string> arguments);
};

constexpr Command kCommands[] = {
    {"launch", "Start a subcommand on several ranks of this machine", run_launch},
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

/// Prints the error and ends the process, and all other ranks with it.
[[noreturn]] void fail(ExitCode code, const std::string& message) {
  const auto launched = launcher_rank();
  const bool one_of_many = launched && launched->size > 1;
  // An error that all ranks have is rank 0's to tell: it ends the job while the others wait here.
  if (one_of_many && launched->rank > 0) std::this_thread::sleep_for(std::chrono::seconds(1));
  std::cout.flush();
  const std::string who = one_of_many ? "rank " + std::to_string(launched->rank) + ": " : "";
  std::cerr << "lockstep: error: " + who + message + "\n" << std::flush;
  MpiSession::abort(static_cast<int>(code));
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  using namespace lockstep;
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
