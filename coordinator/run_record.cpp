#include "coordinator/run_record.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/files.h"
#include "data/version.h"
#include "layers/cpu/instruction_set.h"
#include "worker/comm/preflight.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 28;

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  return "unknown";
}

std::string now_in_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// A number where all ranks have the same.
Json threads_of(const RunEnvironment& environment) {
  const auto& all = environment.threads;
  if (std::ranges::count(all, all.front()) == static_cast<std::ptrdiff_t>(all.size()))
    return all.front();
  return all;
}

void add_versions(Json& json, const RunEnvironment& environment) {
  json["lockstep"] = version();
  json["mpi"] = environment.mpi_library;
  json["onednn"] = cpu::onednn_version();
  json["hdf5"] = hdf5_version();
  json["instruction_set"] = environment.instruction_set;
  json["activations"] = environment.activations;
  if (!environment.started_from.empty()) json["started_from"] = environment.started_from;
  if (!environment.data.empty()) json["data"] = Json::parse(environment.data);
}

Json start_as_json(const RunStart& start, const RunEnvironment& environment) {
  Json json;
  json["started"] = environment.started;
  json["command_line"] = start.command_line;
  json["ranks"] = environment.hosts.size();
  json["threads"] = threads_of(environment);
  Json& hosts = json["hosts"] = Json::object();  // name: ranks
  for (const std::string& host : environment.hosts) hosts[host] = hosts.value(host, 0) + 1;
  json["cpu"] = environment.cpu;
  add_versions(json, environment);
  if (*commit() != '\0') json["commit"] = commit();
  json["compiler"] = __VERSION__;
  return json;
}

void replace_file(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".tmp";
  write_file_durably(fresh, text);
  fs::rename(fresh, path);
}

/// A name for the file beside it that is free: job.cfg -> job-1.cfg.
fs::path free_name(const fs::path& path) {
  for (int i = 1;; ++i) {
    const fs::path name = path.parent_path() / (path.stem().string() + "-" + std::to_string(i) +
                                                path.extension().string());
    if (!fs::exists(name)) return name;
  }
}

Json read_starts(const fs::path& file) {
  if (!fs::exists(file)) return Json::array();
  Json starts = Json::parse(read_text_file(file, kMostBytes), nullptr, false);
  if (starts.is_array()) return starts;
  const fs::path kept = free_name(file);
  fs::rename(file, kept);
  spdlog::warn("{}: not a list of starts; kept as {}", file.string(), kept.string());
  return Json::array();
}

}  // namespace

RunEnvironment collect_environment(const Communicator& world, int threads, Storage activations) {
  const RankFacts facts = facts_of_this_rank(world);
  return {.hosts = world.gather(facts.host, 0, "hosts"),
          .threads = world.all_gather_value(threads, "threads"),
          .mpi_library = facts.mpi_library,
          .instruction_set = cpu::instruction_set_name(cpu::instruction_set_in_use()),
          .activations = activations == Storage::kBf16 ? "bf16" : "f32",
          .cpu = cpu_model(),
          .started = now_in_utc()};
}

void record_start(const fs::path& run_directory, const RunStart& start,
                  const RunEnvironment& environment) {
  const fs::path job = run_directory / "job.cfg", starts_file = run_directory / "environment.json";
  const bool exists = fs::exists(job);
  const bool changed = exists && read_text_file(job, kMostBytes) != start.job_text;
  if (changed) fs::rename(job, free_name(job));
  if (changed || !exists) replace_file(job, start.job_text);
  Json starts = read_starts(starts_file);
  starts.push_back(start_as_json(start, environment));
  replace_file(starts_file, starts.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void set_aside_run(const fs::path& run_directory) {
  for (const char* name : {"metrics.jsonl", "checkpoints"}) {
    const fs::path path = run_directory / name;
    std::error_code error;
    if (!fs::exists(path, error)) continue;
    if (fs::is_directory(path, error) && fs::is_empty(path, error)) continue;
    const fs::path aside = free_name(path);
    rename_durably(path, aside);
    spdlog::info("a new run begins: {} is now {}", path.string(), aside.filename().string());
  }
}

std::string checkpoint_details(const RunStart& start, const RunEnvironment& environment) {
  Json json;
  json["ranks"] = environment.threads.size();
  json["threads"] = threads_of(environment);
  add_versions(json, environment);
  json["job"] = start.job_text;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lockstep
