#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "coordinator/run_record.h"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

std::string without_blanks(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// "section.key" -> value, of a job as the program writes it.
std::map<std::string, std::string> keys_of(const std::string& job) {
  std::map<std::string, std::string> keys;
  std::istringstream in(job);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('#')) continue;
    const auto equals = line.find('=');
    if (line.starts_with('[') && line.ends_with(']'))
      section = line.substr(1, line.size() - 2) + ".";
    else if (equals != std::string::npos)
      keys[section + without_blanks(line.substr(0, equals))] =
          without_blanks(line.substr(equals + 1));
  }
  return keys;
}

std::string text_of(const Json& json, const char* name) {
  if (!json.contains(name)) return "";
  return json[name].is_string() ? json[name].get<std::string>() : json[name].dump();
}

/// Where activations are f32, stages change no bits: replicas and threads do.
struct StartGrid {
  std::string ranks, stages, threads, activations;

  explicit StartGrid(const Json& start)
      : ranks(text_of(start, "ranks")),
        stages("1"),
        threads(text_of(start, "threads")),
        activations(text_of(start, "activations")) {
    const auto keys = keys_of(text_of(start, "job"));
    if (const auto found = keys.find("parallel.stages"); found != keys.end())
      stages = found->second;
  }
  std::string text() const {
    return ranks + " ranks" + (stages == "1" ? "" : " in " + stages + " stages") + " x " + threads +
           " threads";
  }
  bool same_bits(const StartGrid& other) const {
    const double replicas = std::atof(ranks.c_str()) / std::atof(stages.c_str());
    return threads == other.threads && activations == "f32" && other.activations == "f32" &&
           replicas == std::atof(other.ranks.c_str()) / std::atof(other.stages.c_str());
  }
};

void add_job_changes(const Json& saved, const Json& now, std::vector<std::string>& changes) {
  const auto before = keys_of(text_of(saved, "job"));
  for (const auto& [key, value] : keys_of(text_of(now, "job"))) {
    const auto found = before.find(key);
    if ((key == "augment.mean" || key == "augment.std") && found != before.end() &&
        found->second.empty())
      continue;  // checkpoints of before do not tell which they were
    if (key != "run.seed" && found != before.end() &&
        found->second != value)  // seed_change tells of that
      changes.push_back("the job has " + key + " = " + value + " now; it was " + found->second);
  }
}

}  // namespace

std::vector<std::string> changes_since(const std::string& saved_details,
                                       const std::string& details) {
  const Json saved = Json::parse(saved_details, nullptr, false);
  const Json now = Json::parse(details, nullptr, false);
  std::vector<std::string> changes;
  if (!saved.is_object() || !now.is_object()) return changes;
  add_job_changes(saved, now, changes);
  const std::string not_bit_equal = ": not bit-equal to a training without interruption";
  const StartGrid before_grid(saved), grid(now);
  if (saved.contains("ranks") && grid.text() != before_grid.text())
    changes.push_back(grid.text() + " now, " + before_grid.text() + " before" +
                      (grid.same_bits(before_grid) ? "" : not_bit_equal));
  for (const char* name : {"instruction_set", "activations", "onednn", "lockstep"}) {
    const std::string before = text_of(saved, name), after = text_of(now, name);
    if (!before.empty() && before != after)
      changes.push_back(std::string(name) + " " + after + " now, " + before + " before" +
                        not_bit_equal);
  }
  return changes;
}

std::string seed_change(const TrainingState& saved, std::uint64_t seed) {
  if (saved.seed == seed) return "";
  return "run.seed = " + std::to_string(seed) + " counts from step " + std::to_string(saved.step) +
         " on, for the order of samples, augmentation and dropout; the weights began with " +
         std::to_string(saved.seed) +
         (saved.cursor > 0
              ? "; in what is left of this epoch some samples come again and others not at all"
              : "");
}

std::string started_from(const std::string& details) {
  const Json json = Json::parse(details, nullptr, false);
  return json.is_object() ? text_of(json, "started_from") : "";
}

std::string recorded_job(const std::string& details) {
  const Json json = Json::parse(details, nullptr, false);
  return json.is_object() ? text_of(json, "job") : "";
}

std::map<std::string, std::string> recorded_keys(const std::string& details) {
  return keys_of(recorded_job(details));
}

double curve_epochs(const std::string& details) {
  const auto keys = recorded_keys(details);
  for (const char* key : {"schedule.epochs", "train.epochs"})
    if (const auto found = keys.find(key); found != keys.end())
      if (const double epochs = std::atof(found->second.c_str()); epochs > 0) return epochs;
  return 0;
}

}  // namespace lockstep
