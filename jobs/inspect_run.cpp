#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/plan/report_text.h"
#include "coordinator/run_forecast.h"
#include "data/checkpoint.h"
#include "data/error.h"
#include "data/files.h"
#include "data/number_text.h"
#include "jobs/checkpoint_job.h"
#include "jobs/data_text.h"
#include "jobs/inspect.h"
#include "jobs/job_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What the job says that is not a default.
void print_job(const fs::path& file) {
  if (!fs::exists(file)) return;
  try {
    const std::string recorded = read_text_file(file, 1 << 24);
    const std::string text = job_text_of(parse_job(recorded, file.string()), recorded);
    std::cout << "job (what differs from the defaults)\n" << text;
  } catch (const ConfigError& error) {  // of another version
    std::cout << "job: cannot be read: " << error.what() << "\n";
  }
}

/// The newest start that environment.json tells of.
void print_environment(const fs::path& file) {
  std::ifstream in(file);
  if (!in) return;
  const Json starts = Json::parse(in, nullptr, false);
  if (!starts.is_array() || starts.empty()) return;
  std::cout << "environment (of the newest of " << starts.size() << " starts)\n";
  for (const auto& [name, value] : starts.back().items()) {
    if (name == "data")
      std::cout << data_record_text(value.dump(), "  ");
    else
      std::cout << "  " << name << ": "
                << (value.is_string() ? value.get<std::string>() : value.dump()) << "\n";
  }
}

void print_forecast(const fs::path& file) {
  if (!fs::exists(file)) return;
  try {
    std::cout << "predicted and measured (of the newest start that came to its end)\n"
              << details(comparison_from_json(read_text_file(file, 1 << 16)));
  } catch (const DataError& error) {
    std::cout << file.filename().string() << ": " << error.what() << "\n";
  }
}

/// A value of JSON for people.
std::string shown(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? four_digits(value.get<double>()) : value.dump();
}

void print_metrics(const fs::path& file) {
  std::ifstream in(file);
  std::string step, validation;
  for (std::string line; std::getline(in, line);) {
    const bool validates = line.find("\"val_loss\"") != std::string::npos;
    if (line.find("\"step\"") != std::string::npos) (validates ? validation : step) = line;
  }
  const auto print = [&](const char* what, const std::string& line) {
    Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return;
    if (&line == &step && json.contains("epoch") && json["epoch"].is_number_integer())
      json["epoch"] = json["epoch"].get<std::int64_t>() + 1;  // the file counts from 0
    std::cout << what;
    for (const auto& [name, value] : json.items()) std::cout << "  " << name << " " << shown(value);
    std::cout << "\n";
  };
  print("last step      ", step);
  print("last validation", validation);
}

/// Returns how many are bad.
int print_checkpoints(const fs::path& directory) {
  const auto steps = list_checkpoints(directory);
  if (steps.empty()) std::cout << "no checkpoints\n";
  int bad = 0;
  TrainingState newest;  // of the good ones
  for (const std::int64_t step : steps) {
    const fs::path path = directory / checkpoint_name(step);
    std::cout << "checkpoint " << path.filename().string() << ": ";
    try {
      const Checkpoint checkpoint = Checkpoint::open(path);
      std::cout << "verified, after epoch " << checkpoint.state().epoch << ", "
                << in_units(checkpoint.bytes()) << "\n";
      newest = checkpoint.state();
    } catch (const CheckpointError& error) {
      ++bad;
      std::cout << "BAD: " << error.what() << "\n";
    }
  }
  if (newest.best_step) {
    std::cout << "best checkpoint " << checkpoint_name(*newest.best_step) << ": validation score "
              << four_digits(newest.best_metric) << " (accuracy, or mean IoU, as a part of 1)"
              << (std::ranges::find(steps, *newest.best_step) == steps.end() ? "; it is gone" : "")
              << "\n";
  }
  return bad;
}

}  // namespace

int inspect_run(const fs::path& directory) {
  std::cout << "run " << directory.string() << "\n";
  print_job(directory / "job.cfg");
  print_environment(directory / "environment.json");
  print_metrics(directory / "metrics.jsonl");
  print_forecast(directory / kForecastFile);
  const int bad = print_checkpoints(directory / "checkpoints");
  return static_cast<int>(bad > 0 ? ExitCode::kBadData : ExitCode::kDone);
}

}  // namespace lockstep
