// lockstep inspect: what a checkpoint, a run or a data set is.
#include "jobs/inspect.h"

#include <iostream>

#include "coordinator/checkpoint_choice.h"
#include "coordinator/job.h"
#include "data/error.h"
#include "data/packed.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/data_text.h"

namespace lockstep {

namespace fs = std::filesystem;
namespace po = boost::program_options;

int inspect_dataset_at(const fs::path& path, const std::string& source) {
  std::vector<std::string> splits{"train", "val"};
  if (source == "packed") {
    splits.clear();
    for (const DatasetInfo& info : verify_packed(path)) splits.push_back(info.split);
    std::cout << path.string() << ": verified, every sample matches its checksum\n";
  }
  for (const std::string& split : splits) {
    try {
      const auto dataset = open_dataset({.source = source, .path = path.string(), .split = split});
      std::cout << dataset_text(*dataset) << split
                << " fingerprint: " << fingerprint_text(fingerprint_of(*dataset)) << "\n";
      for (const std::string& warning : dataset->info().warnings)
        std::cout << "warning: " << warning << "\n";
    } catch (const MissingFileError& error) {
      if (split == "train") throw;
      std::cout << "val: none (" << error.what() << ")\n";
    }
  }
  return 0;
}

namespace {

int inspect(const fs::path& path, const std::string& source) {
  if (!fs::exists(path)) {
    const CheckpointChoice choice = parse_checkpoint_choice(path.string());
    if (choice.directory.empty() || choice.which == CheckpointChoice::Which::kNewest)
      throw MissingFileError(path.string() + " does not exist" +
                             what_was_meant(path, RunOptions{}.directory));
    return inspect_checkpoint(open_named_checkpoint(choice).directory());
  }
  if (!source.empty()) return inspect_dataset_at(path, source);
  if (!fs::is_directory(path)) {
    if (fs::exists(path.parent_path() / "manifest.json"))
      throw ConfigError(path.string() + " is a part of a checkpoint; inspect the directory " +
                        path.parent_path().string());
    return inspect_dataset_at(path, "packed");
  }
  if (fs::exists(path / "manifest.json") || path.filename().string().starts_with("step-"))
    return inspect_checkpoint(path);
  if (fs::exists(path / "checkpoints") || fs::exists(path / "metrics.jsonl"))
    return inspect_run(path);
  throw ConfigError(path.string() +
                    " is neither a checkpoint nor a run; for a data set say what it is, as in: "
                    "--source folder");
}

}  // namespace

int run_inspect(std::span<const std::string> arguments) {
  std::string path, source;
  CommandSyntax syntax{.usage = "inspect PATH [OPTIONS]",
                       .about =
                           "Shows what PATH is: a checkpoint (its files verified, its tensors "
                           "measured; also RUN:best and RUN:STEP), a run, or a\ndata set (a packed "
                           "file, or what --source "
                           "says). Exits with 65 if a file is bad."};
  syntax.options.add_options()("source", po::value<std::string>(&source)->value_name("KIND"),
                               (std::string("PATH is a data set: ") + kFileSources + ".").c_str());
  syntax.hidden.add_options()("path", po::value<std::string>(&path));
  syntax.positions.add("path", 1);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (path.empty())
    throw ConfigError("lockstep inspect: what? Name a checkpoint, a run, or a data set");
  fs::path normal = fs::path(path).lexically_normal();
  return inspect(normal.has_filename() ? normal : normal.parent_path(), source);
}

}  // namespace lockstep
