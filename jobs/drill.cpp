// lockstep drill [NAME ...]: faults on purpose, before a long job is trusted.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "data/error.h"
#include "data/spelling.h"
#include "data/timing.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/cores.h"
#include "jobs/drills.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

/// A fresh directory, removed at the end unless a drill failed in it.
class DrillDirectory {
 public:
  explicit DrillDirectory(const std::string& parent) {
    std::string name = (fs::absolute(parent).lexically_normal() / "lockstep-drill-XXXXXX").string();
    if (!mkdtemp(name.data())) throw IoError(parent + ": no directory can be made there");
    path_ = name;
  }
  ~DrillDirectory() {
    std::error_code ignored;
    if (!kept_) fs::remove_all(path_, ignored);
  }
  DrillDirectory(const DrillDirectory&) = delete;
  DrillDirectory& operator=(const DrillDirectory&) = delete;

  const fs::path& path() const { return path_; }
  void keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

/// /tmp is a node's own.
std::string default_parent() {
  return nodes_of_allocation() > 1 ? "." : fs::temp_directory_path().string();
}

std::vector<const Drill*> chosen(const std::vector<std::string>& names) {
  std::vector<const Drill*> list;
  if (names.empty())
    for (const Drill& drill : drills()) list.push_back(&drill);
  for (const std::string& name : names) {
    std::vector<std::string> all;
    const Drill* found = nullptr;
    for (const Drill& drill : drills()) {
      all.emplace_back(drill.name);
      if (name == drill.name) found = &drill;
    }
    if (!found)
      throw ConfigError("unknown drill '" + name + "'; did you mean '" + nearest_word(name, all) +
                        "'?");
    list.push_back(found);
  }
  return list;
}

void print(const Drill& drill, const DrillReport& r) {
  const auto line = [](const char* what, double seconds, const std::string& text) {
    if (text.empty()) return;
    std::printf("  %-10s", what);
    if (seconds > 0)
      std::printf("%6.2f s  %s\n", seconds, text.c_str());
    else
      std::printf("          %s\n", text.c_str());
  };
  std::printf("%s: %s\n", drill.name, drill.about);
  line("injected", 0, r.injected);
  line("detected", r.detected_s, r.detected.empty() ? "" : "by " + r.by + ": " + r.detected);
  if (r.failure.empty()) {
    line("recovered", r.recovered_s, r.recovered);
    line("lost", 0, r.lost);
  }
  if (r.failure.empty())
    std::printf("  passed\n");
  else
    line(r.impossible ? "not here" : "FAILED", 0, r.failure);
  std::fflush(stdout);
}

}  // namespace

int run_drill(std::span<const std::string> arguments) {
  int ranks = 2;
  std::string parent = default_parent();
  CommandSyntax syntax{.usage = "drill [NAME ...] [OPTIONS]",
                       .about =
                           "Disturbs a small training on purpose, and shows for each fault what "
                           "was injected, what was\n"
                           "detected, by whom and when, and what was lost. Exits with 0 if all was "
                           "detected and recovered\n"
                           "from, the last weights equal to an undisturbed training's. Without a "
                           "name, all drills:\n"};
  for (const Drill& drill : drills())
    syntax.about += "  " + std::string(drill.name) +
                    std::string(10 - std::string(drill.name).size(), ' ') + drill.about + "\n";
  syntax.options.add_options()("ranks,n", po::value<int>(&ranks)->value_name("N"),
                               "How many ranks. Default: 2.")(
      "directory", po::value<std::string>(&parent)->value_name("DIR"),
      "Where the drills' own directory is made, and removed; all nodes must see it. Default: the "
      "directory for\n"
      "temporary files, in an allocation of several nodes the current one.");
  syntax.hidden.add_options()("name", po::value<std::vector<std::string>>());
  syntax.positions.add("name", -1);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (ranks < 2) throw ConfigError("lockstep drill: -n must be at least 2: somebody has to notice");
  const auto list = chosen(values->count("name") ? (*values)["name"].as<std::vector<std::string>>()
                                                 : std::vector<std::string>{});

  const double began = seconds_now();
  DrillDirectory directory(parent);
  DrillPlace place{.directory = directory.path(),
                   .ranks = ranks,
                   .cores = usable_cores() * nodes_of_allocation(),
                   .together = ranks_of_first_node(ranks)};
  place.weights = undisturbed_weights(place);
  int failed = 0, impossible = 0;
  for (const Drill* drill : list) {
    const DrillReport report = drill->hold(place);
    print(*drill, report);
    impossible += report.impossible;
    failed += !report.failure.empty() && !report.impossible;
  }
  std::printf("%zu drills, %d failed, %d not possible here, %.0f s\n", list.size(), failed,
              impossible, seconds_now() - began);
  if (failed == 0) return 0;
  directory.keep();
  std::printf("what they left is in %s\n", directory.path().c_str());
  return static_cast<int>(ExitCode::kInternal);
}

}  // namespace lockstep
