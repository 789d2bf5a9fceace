#pragma once
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "data/error.h"
#include "layers/model.h"

namespace lockstep::testing_models {

inline constexpr Shape kCifar{3, 32, 32};
inline constexpr Shape kImagenet{3, 224, 224};

inline ModelOptions model(const std::string& family, int depth) {
  ModelOptions options;
  options.family = family;
  options.depth = depth;
  return options;
}

inline ModelOptions unet() {
  ModelOptions options;
  options.family = "unet";
  return options;
}

inline std::int64_t cifar_parameters(const ModelOptions& options) {
  return build_model(options, kCifar, 10).parameter_count();
}

inline std::int64_t imagenet_parameters(const ModelOptions& options) {
  return build_model(options, kImagenet, 1000).parameter_count();
}

/// The message of the ConfigError that building throws.
inline std::string config_error(const ModelOptions& options, Shape input = kCifar) {
  try {
    build_model(options, input, 10);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no ConfigError";
}

inline const Op* find(const Graph& graph, const std::string& name) {
  for (const Op& op : graph.ops())
    if (op.name == name) return &op;
  return nullptr;
}

template <class T>
const T& attributes(const Graph& graph, const std::string& name) {
  const Op* op = find(graph, name);
  if (!op) throw std::runtime_error("no op " + name);
  return std::get<T>(op->attributes);
}

/// The ops whose names begin with `prefix`, in order, without it.
inline std::vector<std::string> names(const Graph& graph, const std::string& prefix) {
  std::vector<std::string> found;
  for (const Op& op : graph.ops())
    if (op.name.rfind(prefix, 0) == 0) found.push_back(op.name.substr(prefix.size()));
  return found;
}

}  // namespace lockstep::testing_models
