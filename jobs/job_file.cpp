#include "jobs/job_file.h"

#include <boost/program_options.hpp>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "data/error.h"
#include "jobs/job_check.h"
#include "jobs/job_key.h"
#include "jobs/job_path.h"
#include "jobs/job_synonyms.h"
#include "jobs/value_text.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

/// "key = value" with the place where it was said.
struct Assignment {
  std::string where;  // "FILE:LINE" or "--set"
  std::string key;
  std::string value;
};

std::string place(const std::string& name, int line) { return name + ":" + std::to_string(line); }

/// Numbers of the lines that hold an assignment, in order: Boost does not tell them, nor where a
/// line is that it does not understand.
std::vector<int> assignment_lines(const std::string& text, const std::string& name) {
  std::vector<int> lines;
  std::istringstream in(text);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string_view body = trimmed(std::string_view(line).substr(0, line.find('#')));
    if (body.empty() || (body.front() == '[' && body.back() == ']')) continue;
    if (body.find('=') == std::string_view::npos) {
      throw ConfigError(place(name, number) + ": '" + std::string(body) +
                        "' is neither [section] nor key = value");
    }
    lines.push_back(number);
  }
  return lines;
}

std::vector<Assignment> read_assignments(const std::string& text, const std::string& name) {
  const std::vector<int> lines = assignment_lines(text, name);
  std::istringstream in(text);
  const auto parsed = po::parse_config_file(in, po::options_description(), true);
  std::vector<Assignment> assignments;
  for (std::size_t i = 0; i < parsed.options.size(); ++i) {
    const auto& option = parsed.options[i];
    const std::string value = option.value.empty() ? "" : option.value.front();
    assignments.push_back({place(name, lines.at(i)), option.string_key, value});
  }
  return assignments;
}

Assignment read_override(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) {
    throw ConfigError("--set " + text + ": use --set section.key=value");
  }
  if (text.find_first_of("#\n") != std::string::npos) {  // the effective job would read otherwise
    throw ConfigError("--set " + text + ": a job's values have neither '#' nor line breaks");
  }
  return {"--set", std::string(trimmed(std::string_view(text).substr(0, equals))),
          std::string(trimmed(std::string_view(text).substr(equals + 1)))};
}

/// What the key is set to: a path is expanded, so that the effective job says where it was.
std::string value_for(const JobKey& key, const Assignment& assignment) {
  if (!key.is_path) return assignment.value;
  try {
    return expanded_path(assignment.value);
  } catch (const ConfigError& error) {
    throw ConfigError(assignment.where + ": " + assignment.key + " = '" + assignment.value +
                      "': " + error.what());
  }
}

void assign(Job& job, const Assignment& assignment) {
  const JobKey* key = find_job_key(assignment.key);
  if (!key) {
    const std::string answer = answer_to(assignment.key);
    if (!answer.empty())
      throw ConfigError(assignment.where + ": unknown key '" + assignment.key + "': " + answer);
    throw ConfigError(assignment.where + ": unknown key '" + assignment.key + "'; did you mean '" +
                      nearest_job_key(assignment.key) + "'?");
  }
  if (!key->set(job, value_for(*key, assignment))) {
    const std::string meant = meant_value(*key, assignment.value);
    throw ConfigError(assignment.where + ": " + key->name + " = '" + assignment.value +
                      "' is not valid; " +
                      (meant.empty() ? "use " : "did you mean " + meant + "? Use ") + key->valid);
  }
}

std::string read_text(const std::filesystem::path& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) {
    throw MissingFileError("job file " + file.string() + " does not exist (looked from " +
                           std::filesystem::current_path(error).string() + ")");
  }
  if (std::filesystem::is_directory(status)) {
    throw ConfigError(file.string() + " is a directory; name the job file in it");
  }
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || !text)
    throw IoError("cannot read job file " + file.string() + "; check its permissions");
  return text.str();
}

std::string write_job(const Job& job, bool with_help) {
  std::string text, section;
  for (const JobKey& key : job_keys()) {
    const auto dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      text += (text.empty() ? "[" : "\n[") + section + "]\n";
    }
    if (with_help) text += "# " + key.help + " (" + key.valid + ")\n";
    if (!key.counts_in(job) && !with_help) continue;
    const std::string value = key.get(job);
    if (!key.counts_in(job)) text += "# ";
    text += key.name.substr(dot + 1) + (value.empty() ? " =" : " = ") + value + "\n";
  }
  return text;
}

}  // namespace

SaidJob parse_said_job(const std::string& whole, const std::string& name,
                       std::span<const std::string> overrides) {
  // editors of other systems begin a file with it
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  const std::string text =
      whole.starts_with(kByteOrderMark) ? whole.substr(kByteOrderMark.size()) : whole;
  SaidJob said;
  auto& [job, places] = said;
  for (const Assignment& assignment : read_assignments(text, name)) {
    assign(job, assignment);
    const auto [first, inserted] = places.emplace(assignment.key, assignment.where);
    if (!inserted) {
      throw ConfigError(assignment.where + ": '" + assignment.key + "' was set before, at " +
                        first->second + "; keep one of them");
    }
  }
  for (const std::string& text_of_override : overrides) {
    const Assignment assignment = read_override(text_of_override);
    assign(job, assignment);
    places[assignment.key] = assignment.where;
  }
  check_job(job, [&](const std::string& key) {
    const auto found = said.places.find(key);
    return found == said.places.end() ? name : found->second;
  });
  check_said_keys(job, places);
  return said;
}

SaidJob load_said_job(const std::filesystem::path& file, std::span<const std::string> overrides) {
  return parse_said_job(read_text(file), file.string(), overrides);
}

Job parse_job(const std::string& text, const std::string& name,
              std::span<const std::string> overrides) {
  return parse_said_job(text, name, overrides).job;
}

Job load_job(const std::filesystem::path& file, std::span<const std::string> overrides) {
  return load_said_job(file, overrides).job;
}

std::string to_ini(const Job& job) { return write_job(job, false); }

std::string describe_job_keys() { return write_job(Job{}, true); }

}  // namespace lockstep
