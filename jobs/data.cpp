// lockstep data pack | check: one file of a data set, and what is wrong with one.
#include <unistd.h>

#include <iostream>

#include "data/error.h"
#include "data/packed.h"
#include "data/spelling.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/cores.h"
#include "jobs/data_text.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

/// Where a data set is, as all data commands ask for it.
struct DataPlace {
  std::string source, path;
  std::string split = "both";  // both | train | val
};

struct Splits {
  std::unique_ptr<Dataset> train, val;
};

void add_place_options(CommandSyntax& syntax, DataPlace& place) {
  syntax.options.add_options()(
      "source", po::value<std::string>(&place.source)->value_name("KIND")->required(),
      "idx, cifar10, cifar100, folder or packed.")(
      "path", po::value<std::string>(&place.path)->value_name("PATH")->required(),
      "The folder of its files; the file of a packed one.")(
      "split", po::value<std::string>(&place.split)->value_name("both|train|val"),
      "Which part of it. Default: both.");
}

Splits open_splits(const DataPlace& place) {
  if (place.split != "both" && place.split != "train" && place.split != "val")
    throw ConfigError("lockstep data: --split " + place.split + ": use both, train or val");
  if (place.source == "synthetic")
    throw ConfigError("lockstep data: synthetic data has no files; use another --source");
  const auto open = [&](const std::string& split) {
    return open_dataset({.source = place.source, .path = place.path, .split = split});
  };
  Splits splits;
  if (place.split != "val") splits.train = open("train");
  if (place.split != "train") splits.val = open("val");
  return splits;
}

/// Rewrites one line on a terminal, and says nothing in a log.
void show_progress(std::int64_t done, std::int64_t total) {
  if (!isatty(STDERR_FILENO)) return;
  std::cerr << "\r" << done << " of " << total << " samples" << (done == total ? "\n" : "")
            << std::flush;
}

int run_pack(std::span<const std::string> arguments) {
  DataPlace place;
  std::string out;
  CommandSyntax syntax{.usage = "data pack --source KIND --path PATH --out FILE.h5",
                       .about =
                           "Writes a data set into one HDF5 file, its samples as they are "
                           "stored, each with a checksum.\nA job reads it with data.source = "
                           "packed, data.path = FILE.h5."};
  add_place_options(syntax, place);
  syntax.options.add_options()("out",
                               po::value<std::string>(&out)->value_name("FILE.h5")->required(),
                               "The new file; it must not exist.");
  if (!parse_command_line(syntax, arguments)) return 0;
  const Splits splits = open_splits(place);
  std::vector<const Dataset*> sources;
  for (const auto* split : {&splits.train, &splits.val})
    if (*split) sources.push_back(split->get());
  pack_dataset(sources, out, show_progress);
  for (const Dataset* source : sources)
    std::cout << source->info().split << ": " << source->size() << " samples\n";
  std::cout << "packed into " << out << "\n";
  return 0;
}

int run_check(std::span<const std::string> arguments) {
  DataPlace place;
  ValidateOptions options{.threads = usable_cores()};
  CommandSyntax syntax{.usage = "data check --source KIND --path PATH [OPTIONS]",
                       .about =
                           "Reads a data set and reports classes, labels, duplicates, samples "
                           "that are in both splits,\nand damage. Exits with 65 if it is not "
                           "usable."};
  add_place_options(syntax, place);
  syntax.options.add_options()(
      "decode", po::bool_switch(&options.decode),
      "Decode every picture too: finds damage, and tells mean and deviation of the pixels.")(
      "threads", po::value<int>(&options.threads)->value_name("T"),
      "Threads that read. Default: one a core.");
  if (!parse_command_line(syntax, arguments)) return 0;
  if (options.threads < 1) throw ConfigError("lockstep data check: --threads must be at least 1");
  Splits splits = open_splits(place);
  if (!splits.train) splits.train = std::move(splits.val);  // validation data alone
  const DatasetReport report = validate(*splits.train, splits.val.get(), options);
  std::cout << report_text(report, *splits.train, splits.val.get());
  return static_cast<int>(report.good() ? ExitCode::kDone : ExitCode::kBadData);
}

constexpr const char* kUsage =
    "Usage: lockstep data pack|check [OPTIONS]   (lockstep data pack --help tells more)\n\n"
    "  pack      Write a data set into one HDF5 file\n"
    "  check     Report what is in a data set, and what is wrong with it\n";

}  // namespace

int run_data(std::span<const std::string> arguments) {
  if (arguments.empty()) throw ConfigError("lockstep data: what? Use lockstep data pack or check");
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h") {
    std::cout << kUsage;
    return 0;
  }
  if (name == "pack") return run_pack(arguments.subspan(1));
  if (name == "check") return run_check(arguments.subspan(1));
  throw ConfigError("lockstep data: unknown command '" + name + "'; did you mean '" +
                    nearest_word(name, {"pack", "check"}) + "'?");
}

}  // namespace lockstep
