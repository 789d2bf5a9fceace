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

/// On one line, whatever the names are.
std::string names_comment(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "# classes, by label: " : ", ") + name;
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20) c = '?';
  return text.empty() ? "" : text + "\n";
}

}  // namespace

std::string with_input_facts(const std::string& job_text, const InputFacts& facts) {
  std::istringstream in(job_text);
  std::string text = names_comment(facts.class_names), section;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with('[')) section = line;
    if (section == "[augment]" && line == "mean =")
      line += " " + numbers_text(facts.mean);
    else if (section == "[augment]" && line == "std =")
      line += " " + numbers_text(facts.std);
    text += line + "\n";
  }
  return text;
}

std::string details_with_input_facts(const std::string& details, const InputFacts& facts) {
  Json json = Json::parse(details, nullptr, false);
  if (!json.is_object()) return details;
  json["input"] = {facts.input.channels, facts.input.height, facts.input.width};
  json["mean"] = numbers_json(facts.mean);
  json["std"] = numbers_json(facts.std);
  json["resize"] = facts.resize;
  json["class_names"] = facts.class_names;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace lockstep
