#pragma once
#include <span>
#include <string>

namespace lockstep {

/// A subcommand of the program.
struct Command {
  const char* name;
  const char* about;
  int (*run)(std::span<const std::string> arguments);
};

/// All of them, in the order of the help.
std::span<const Command> commands();

/// @throws ConfigError naming the subcommand that is most like `name`.
const Command& find_command(const std::string& name);

/// The subcommands, each in jobs/NAME.cpp. `arguments` are the words after the subcommand. They return an exit code or
/// throw Error.
int run_bench(std::span<const std::string> arguments);
int run_drill(std::span<const std::string> arguments);
int run_eval(std::span<const std::string> arguments);
int run_data(std::span<const std::string> arguments);
int run_inspect(std::span<const std::string> arguments);
int run_launch(std::span<const std::string> arguments);
int run_plan(std::span<const std::string> arguments);
int run_predict(std::span<const std::string> arguments);
int run_stop(std::span<const std::string> arguments);
int run_train(std::span<const std::string> arguments);

}  // namespace lockstep
