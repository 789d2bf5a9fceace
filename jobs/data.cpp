// lockstep data pack | check: one file of a data set, and what is wrong with one.
#include <unistd.h>

#include <iostream>
#include <optional>

#include "coordinator/job_data.h"
#include "data/error.h"
#include "data/packed.h"
#include "data/spelling.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/cores.h"
#include "jobs/data_text.h"
#include "jobs/job_file.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

/// Where a data set is, as all data commands ask for it.
struct DataPlace {
  std::string source, path;
  std::string split;      // both | train | val; empty: both, or what the job uses
  BalanceLimits balance;  // the job's
};

struct Splits {
  std::unique_ptr<Dataset> train, val;
};

void add_place_options(CommandSyntax& syntax, DataPlace& place) {
  add_job_options(syntax);
  syntax.options.add_options()("source", po::value<std::string>(&place.source)->value_name("KIND"),
                               (std::string("Without a job file: ") + kFileSources + ".").c_str())(
      "path", po::value<std::string>(&place.path)->value_name("PATH"),
      "Without a job file: the folder of its files; the file of a packed one.")(
      "split", po::value<std::string>(&place.split)->value_name("both|train|val"),
      "Which part of it. Default: both; train alone where the job does not validate.");
}

/// The data set of the job, or of --source and --path, as one reads it. Nothing after --help-job.
std::optional<DatasetOptions> dataset_asked_for(DataPlace& place, const po::variables_map& values) {
  const bool has_place = !place.source.empty() || !place.path.empty();
  if (values.count("job") || values.count("help-job")) {
    if (has_place)
      throw ConfigError("lockstep data: name a job file, or use --source and --path, not both");
    const auto arguments = job_arguments(values);
    if (!arguments) return std::nullopt;
    const Job job = load_job(arguments->file, arguments->overrides);
    if (place.split.empty()) place.split = job.train.validate_every > 0 ? "both" : "train";
    place.balance = {.max_share = job.data.max_class_share, .max_ratio = job.data.max_class_ratio};
    return dataset_options(job, "train");
  }
  if (values.count("set")) throw ConfigError("lockstep data: --set changes a job file; name one");
  if (place.source.empty() || place.path.empty())
    throw ConfigError(
        "lockstep data: where is the data? Name a job file, or use --source KIND --path PATH");
  if (place.split.empty()) place.split = "both";
  return DatasetOptions{.source = place.source, .path = place.path};
}

Splits open_splits(DatasetOptions options, const std::string& split) {
  if (split != "both" && split != "train" && split != "val")
    throw ConfigError("lockstep data: --split " + split + ": use both, train or val");
  if (options.source.starts_with("synthetic"))
    throw ConfigError("lockstep data: " + options.source +
                      " data is made up and has no files; other sources are " + kFileSources);
  const auto open = [&](const std::string& name) {
    options.split = name;
    return open_dataset(options);
  };
  Splits splits;
  if (split != "val") splits.train = open("train");
  if (split != "train") splits.val = open("val");
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
  CommandSyntax syntax{.usage =
                           "data pack JOB.cfg FILE.h5 [OPTIONS]\n"
                           "       lockstep data pack --source KIND --path PATH --out FILE.h5",
                       .about =
                           "Writes a data set into one HDF5 file, its samples as they are "
                           "stored, each with a checksum.\nA job reads it with data.source = "
                           "packed, data.path = FILE.h5."};
  add_place_options(syntax, place);
  syntax.positions.add("out", 1);
  syntax.options.add_options()("out",
                               po::value<std::string>(&out)->value_name("FILE.h5")->required(),
                               "The new file; it must not exist.");
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  const auto asked = dataset_asked_for(place, *values);
  if (!asked) return 0;
  const Splits splits = open_splits(*asked, place.split);
  std::vector<const Dataset*> sources;
  for (const auto* split : {&splits.train, &splits.val})
    if (*split) sources.push_back(split->get());
  pack_dataset(sources, out, show_progress);
  for (const Dataset* source : sources)
    for (const std::string& warning : source->info().warnings)
      std::cerr << "lockstep: warning: " << source->info().split << " data: " << warning << "\n";
  for (const Dataset* source : sources)
    std::cout << source->info().split << ": " << source->size() << " samples\n";
  std::cout << "packed into " << out << "\n";
  return 0;
}

/// What `data check` is asked besides the place of the data.
struct CheckRequest {
  ValidateOptions options{.threads = usable_cores()};
  double max_class_share = 0, max_class_ratio = 0;  // 0: the job's
  bool strict = false;
};

void add_check_options(CommandSyntax& syntax, CheckRequest& request) {
  syntax.options.add_options()(
      "decode", po::bool_switch(&request.options.decode),
      "Decode every picture too: finds damage, and tells mean and deviation of the pixels.")(
      "max-leaked", po::value<std::int64_t>(&request.options.max_leaked)->value_name("N"),
      "Validation samples that may be in the training data too; more are an error. Default: 0.")(
      "max-class-share", po::value<double>(&request.max_class_share)->value_name("PART"),
      "Warn of a class with more than this part of the samples. Default: data.max_class_share.")(
      "max-class-ratio", po::value<double>(&request.max_class_ratio)->value_name("R"),
      "Warn of a class with more than R times the samples of the smallest one. Default: "
      "data.max_class_ratio.")(
      "strict", po::bool_switch(&request.strict),
      "Warnings are errors: exit with 65 where there are any, for pipelines.")(
      "threads", po::value<int>(&request.options.threads)->value_name("T"),
      "Threads that read. Default: one a core.");
}

/// Of words that have been read. @throws ConfigError.
void check_request(const CheckRequest& request, const po::variables_map& values) {
  if (request.options.threads < 1)
    throw ConfigError("lockstep data check: --threads must be at least 1");
  if (request.options.max_leaked < 0)
    throw ConfigError("lockstep data check: --max-leaked must be at least 0");
  if (values.count("max-class-share") &&
      !(request.max_class_share > 0 && request.max_class_share <= 1))
    throw ConfigError("lockstep data check: --max-class-share must be above 0 and at most 1");
  if (values.count("max-class-ratio") && !(request.max_class_ratio >= 1))
    throw ConfigError("lockstep data check: --max-class-ratio must be at least 1");
}

int run_check(std::span<const std::string> arguments) {
  DataPlace place;
  CheckRequest request;
  CommandSyntax syntax{
      .usage =
          "data check JOB.cfg [OPTIONS]\n"
          "       lockstep data check --source KIND --path PATH [OPTIONS]",
      .about =
          "Reads a data set and reports classes, labels, duplicates, samples "
          "that are in both splits,\nand damage. Exits with 65 if it is not "
          "usable: with damage, wrong labels, or validation samples\nthat are in the training "
          "data; with --strict for every warning, too."};
  add_place_options(syntax, place);
  add_check_options(syntax, request);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  check_request(request, *values);
  const auto asked = dataset_asked_for(place, *values);
  if (!asked) return 0;
  request.options.balance = place.balance;
  if (request.max_class_share > 0) request.options.balance.max_share = request.max_class_share;
  if (request.max_class_ratio > 0) request.options.balance.max_ratio = request.max_class_ratio;
  Splits splits = open_splits(*asked, place.split);
  if (!splits.train) splits.train = std::move(splits.val);  // validation data alone
  const DatasetReport report = validate(*splits.train, splits.val.get(), request.options);
  std::cout << report_text(report, *splits.train, splits.val.get(), request.strict);
  return static_cast<int>(is_usable(report, request.strict) ? ExitCode::kDone : ExitCode::kBadData);
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
