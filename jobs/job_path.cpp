#include "jobs/job_path.h"

#include <cctype>
#include <cstdlib>

#include "data/error.h"

namespace lockstep {
namespace {

std::string value_of(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (!value) throw ConfigError("the variable " + variable + " is not set");
  return value;
}

}  // namespace

std::string expanded_path(const std::string& path) {
  std::string text;
  std::size_t i = 0;
  if (path == "~" || path.starts_with("~/")) {
    text = value_of("HOME");
    i = 1;
  }
  while (i < path.size()) {
    if (path[i] != '$') {
      text += path[i++];
      continue;
    }
    const bool braces = i + 1 < path.size() && path[i + 1] == '{';
    const std::size_t begin = i + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < path.size() &&
           (std::isalnum(static_cast<unsigned char>(path[end])) != 0 || path[end] == '_'))
      ++end;
    if (end == begin || (braces && (end == path.size() || path[end] != '}')))
      throw ConfigError("a '$' in a path begins a variable's name: $NAME or ${NAME}");
    text += value_of(path.substr(begin, end - begin));
    i = end + (braces ? 1 : 0);
  }
  return text;
}

}  // namespace lockstep
