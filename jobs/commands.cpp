#include "jobs/commands.h"

#include <vector>

#include "data/error.h"
#include "data/spelling.h"

namespace lockstep {

std::span<const Command> commands() {
  static constexpr Command kCommands[] = {
      {"train", "Train a model, or resume its training", run_train},
      {"eval", "Loss and accuracy of a checkpoint", run_eval},
      {"predict", "Classify pictures with a run's checkpoint", run_predict},
      {"inspect", "Show what a checkpoint, a run or a data set is", run_inspect},
      {"stop", "Make a training save and end", run_stop},
      {"data", "Pack a data set into one file, or check it", run_data},
      {"plan", "Show memory, work and messages of a job before it runs", run_plan},
      {"bench", "Time a part of lockstep on this machine", run_bench},
      {"launch", "Start a subcommand on several ranks of this machine", run_launch},
      {"drill", "Disturb a small training on purpose, and see it recover", run_drill},
  };
  return kCommands;
}

const Command& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (name == command.name) return command;
    names.push_back(command.name);
  }
  if (name.ends_with(".cfg") || name.ends_with(".ini"))
    throw ConfigError("'" + name + "' is a job file, and no subcommand; did you mean: train " +
                      name + "?");
  throw ConfigError("unknown subcommand '" + name + "'; did you mean '" +
                    nearest_word(name, names) + "'? lockstep --help lists them all");
}

}  // namespace lockstep
