#pragma once
#include <span>
#include <string>

namespace lockstep {

/// The subcommands, each in jobs/NAME.cpp; main.cpp lists them. `arguments` are the words after the
/// subcommand. They return an exit code or throw Error.
int run_bench(std::span<const std::string> arguments);
int run_drill(std::span<const std::string> arguments);
int run_eval(std::span<const std::string> arguments);
int run_data(std::span<const std::string> arguments);
int run_inspect(std::span<const std::string> arguments);
int run_launch(std::span<const std::string> arguments);
int run_plan(std::span<const std::string> arguments);
int run_train(std::span<const std::string> arguments);

}  // namespace lockstep
