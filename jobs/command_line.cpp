#include "jobs/command_line.h"

#include <iostream>

#include "data/error.h"
#include "data/spelling.h"
#include "jobs/job_file.h"

namespace lockstep {

namespace po = boost::program_options;

namespace {

std::string nearest_option(const std::string& word, const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return nearest_word(word, names);
}

/// "data pack" of "data pack --source KIND ...": the words before the first argument.
std::string command_of(const std::string& usage) {
  std::size_t end = 0;
  for (std::size_t i = 0; i <= usage.size(); ++i) {
    if (i == usage.size() || usage[i] == ' ')
      end = i;
    else if (usage[i] < 'a' || usage[i] > 'z')
      break;
  }
  return usage.substr(0, end);
}

}  // namespace

std::optional<po::variables_map> parse_command_line(const CommandSyntax& syntax,
                                                    std::span<const std::string> arguments) {
  po::options_description visible = syntax.options;
  visible.add_options()("help,h", "Print this help.");
  po::options_description all;
  all.add(visible).add(syntax.hidden);
  const std::string command = "lockstep " + command_of(syntax.usage);

  po::variables_map values;
  try {
    // An option must be spelled out: what a prefix means today may be another option tomorrow.
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::command_line_parser parser(std::vector<std::string>(arguments.begin(), arguments.end()));
    po::store(parser.options(all).positional(syntax.positions).style(style).run(), values);
    if (values.count("help")) {
      std::cout << "Usage: lockstep " << syntax.usage << "\n\n"
                << syntax.about << "\n\n"
                << visible;
      return std::nullopt;
    }
    po::notify(values);
  } catch (const po::unknown_option& error) {
    throw ConfigError(command + ": unknown option '" + error.get_option_name() +
                      "'; did you mean '" + nearest_option(error.get_option_name(), visible) +
                      "'?");
  } catch (const po::error& error) {
    throw ConfigError(command + ": " + error.what() + "; see " + command + " --help");
  }
  return values;
}

void add_job_options(CommandSyntax& syntax) {
  syntax.options.add_options()(
      "set", po::value<std::vector<std::string>>()->composing()->value_name("section.key=value"),
      "Overrides a key of the job file; may be given several times.")(
      "help-job", "Print every key of a job file, with its default.");
  syntax.hidden.add_options()("job", po::value<std::string>());
  syntax.positions.add("job", 1);
}

CommandSyntax train_syntax() {
  CommandSyntax syntax{
      .usage = "train JOB.cfg [OPTIONS]",
      .about =
          "Trains the model of a job file, and resumes by itself from the run's newest good\n"
          "checkpoint. Start it alone, or under lockstep launch, mpirun or srun."};
  add_job_options(syntax);
  syntax.options.add_options()(
      "fault", po::value<std::vector<std::string>>()->value_name("KIND:RANK:STEP"),
      "For drills: before that step the rank does this to itself, once in the run. KIND: kill, "
      "stop, slow,\n"
      "flip (a bit of a parameter), nan (a pixel), full (disk), pin (on CPUs of others); again: it "
      "kills itself\n"
      "while the others recover from the loss of the STEP-th rank. May be repeated.");
  return syntax;
}

std::optional<JobArguments> job_arguments(const po::variables_map& values) {
  if (values.count("help-job")) {
    std::cout << describe_job_keys();
    return std::nullopt;
  }
  if (!values.count("job")) throw ConfigError("no job file was named; give one, as in: JOB.cfg");
  JobArguments arguments{values["job"].as<std::string>(), {}};
  if (values.count("set")) arguments.overrides = values["set"].as<std::vector<std::string>>();
  return arguments;
}

}  // namespace lockstep
