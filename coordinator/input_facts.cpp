#include "coordinator/input_facts.h"

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

std::string numbers_text(const std::vector<float>& values) {
  std::string text;
  for (const float value : values) text += (text.empty() ? "" : ", ") + fmt::format("{}", value);
  return text;
}

/// The shortest decimals that are the float, as a job has them: 0.485 and not 0.48500001430511475.
Json numbers_json(const std::vector<float>& values) {
  Json json = Json::array();
  for (const float value : values) json.push_back(std::stod(fmt::format("{}", value)));
  return json;
}

/// A name as it comes back from a checkpoint: names of folders are any bytes, JSON is UTF-8.
std::string as_stored(const std::string& name) {
  return Json::parse(Json(name).dump(-1, ' ', false, Json::error_handler_t::replace));
}

/// On one line, whatever the names are.
std::string names_comment(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "# classes, by label: " : ", ") + name;
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  return text.empty() ? "" : text + "\n";
}

constexpr const char* kFilledIn =
    "# augment.mean and augment.std are those of this kind of data: the job does not say them\n";

}  // namespace

bool has_filled_in(const std::string& job_text) {
  return job_text.find(kFilledIn) != std::string::npos;
}

std::string with_input_facts(const std::string& job_text, const InputFacts& facts) {
  std::istringstream in(job_text);
  std::string text, section;
  bool filled_in = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('[')) section = line;
    const bool mean = line == "mean =", std = line == "std =";
    if (section == "[augment]" && (mean || std)) {
      line += " " + numbers_text(mean ? facts.mean : facts.std);
      filled_in = true;
    }
    text += line + "\n";
  }
  return names_comment(facts.class_names) + (filled_in ? kFilledIn : "") + text;
}

std::string details_with_input_facts(const std::string& details, const InputFacts& facts) {
  Json json = Json::parse(details, nullptr, false);
  if (!json.is_object()) return details;
  json["input"] = {facts.input.channels, facts.input.height, facts.input.width};
  json["mean"] = numbers_json(facts.mean);
  json["std"] = numbers_json(facts.std);
  json["resize"] = facts.resize;
  json["class_names"] = facts.class_names;
  if (facts.classes > 0) json["classes"] = facts.classes;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

InputFacts input_facts_of(const std::string& details) {
  const Json json = Json::parse(details, nullptr, false);
  InputFacts facts;
  if (!json.is_object()) return facts;
  const auto read = [&](const char* name, auto& value) {
    try {
      if (json.contains(name)) json[name].get_to(value);
    } catch (const Json::exception&) {  // of another version: not known
    }
  };
  std::vector<int> input;
  read("input", input);
  if (input.size() == 3) facts.input = {input[0], input[1], input[2]};
  read("mean", facts.mean);
  read("std", facts.std);
  read("resize", facts.resize);
  read("class_names", facts.class_names);
  read("classes", facts.classes);
  if (facts.classes == 0) facts.classes = static_cast<int>(facts.class_names.size());
  return facts;
}

std::string class_change(const InputFacts& checkpoint, int classes,
                         const std::vector<std::string>& class_names) {
  if (checkpoint.classes > 0 && checkpoint.classes != classes)
    return "the data has " + std::to_string(classes) + " classes, the checkpoint was trained on " +
           std::to_string(checkpoint.classes);
  if (checkpoint.class_names.size() != class_names.size()) return "";  // one of them has no names
  for (std::size_t label = 0; label < class_names.size(); ++label) {
    const std::string name = as_stored(class_names[label]);
    if (checkpoint.class_names[label] != name)
      return "label " + std::to_string(label) + " is '" + name + "' in the data, '" +
             checkpoint.class_names[label] + "' where the checkpoint was trained";
  }
  return "";
}

}  // namespace lockstep
