#pragma once
#include <boost/program_options.hpp>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// What a subcommand understands. Every one has --help besides.
struct CommandSyntax {
  std::string usage;  // "train JOB.cfg [OPTIONS]"
  std::string about;  // what it does; for --help
  boost::program_options::options_description options{"Options"};
  boost::program_options::options_description hidden;  // the named positions
  boost::program_options::positional_options_description positions;
};

/// Reads a subcommand's words. After --help, prints the help and returns nothing.
/// @throws ConfigError naming the word, and the option that is most like it.
std::optional<boost::program_options::variables_map> parse_command_line(
    const CommandSyntax& syntax, std::span<const std::string> arguments);

/// Adds what every subcommand that reads a job has: JOB.cfg, --set, --help-job.
void add_job_options(CommandSyntax& syntax);

/// What `lockstep train` understands; its launcher reads it too.
CommandSyntax train_syntax();

/// The job of a command line that was parsed with add_job_options(). After --help-job, prints every
/// key and returns nothing.
struct JobArguments {
  std::filesystem::path file;
  std::vector<std::string> overrides;
};
std::optional<JobArguments> job_arguments(const boost::program_options::variables_map& values);

}  // namespace lockstep
