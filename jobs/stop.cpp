// lockstep stop RUN: asks the training in a run directory to save and end.
#include <iostream>

#include "coordinator/run_lock.h"
#include "coordinator/stop_file.h"
#include "data/error.h"
#include "data/files.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"

namespace lockstep {

namespace po = boost::program_options;

int run_stop(std::span<const std::string> arguments) {
  CommandSyntax syntax{
      .usage = "stop RUN",
      .about =
          "Asks the training in the run directory RUN (as in runs/NAME) to finish its step, save "
          "and\n"
          "end with 0. Neither lockstep launch nor Slurm starts it again; the same command as\n"
          "before goes on from there. The same as: touch RUN/stop"};
  syntax.hidden.add_options()("run", po::value<std::string>());
  syntax.positions.add("run", 1);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (!values->count("run"))
    throw ConfigError(
        "lockstep stop: which run? Name its directory, as in: lockstep stop runs/NAME");
  const std::filesystem::path run = (*values)["run"].as<std::string>();
  if (!std::filesystem::exists(run / "environment.json"))
    throw MissingFileError(run.string() +
                           " is not the directory of a run; runs/ holds those that are");
  const auto holder = holder_of_lock(run);
  if (!holder) throw ConfigError(run.string() + ": nothing trains there now");
  write_file_durably(stop_file(run), "");
  std::cout << run.string() << ": asked " << *holder
            << " to stop; it finishes the step, saves and ends with 0\n";
  return 0;
}

}  // namespace lockstep
