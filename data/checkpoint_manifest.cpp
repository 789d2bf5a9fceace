#include "data/checkpoint_manifest.h"

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "data/error.h"
#include "data/files.h"
#include "data/hdf5_format.h"
#include "data/version.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFormat[] = "lockstep checkpoint";
constexpr int kFormatVersion = 2;
// The manifest ends with exactly this, 32 digits, and kHashEnd.
constexpr std::string_view kHashStart = ",\n\"manifest_xxh3_128\": \"";
constexpr std::string_view kHashEnd = "\"\n}\n";
constexpr std::size_t kHashDigits = 32;

/// JSON has no NaN or infinity: they are written as words.
Json number_or_word(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

double parse_number_or_word(const Json& json) {
  if (!json.is_string()) return json.get<double>();
  const auto word = json.get<std::string>();
  if (word == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (word == "inf") return std::numeric_limits<double>::infinity();
  if (word == "-inf") return -std::numeric_limits<double>::infinity();
  throw CheckpointError("\"" + word + "\" is no number");
}

Json to_json(const PlateauState& plateau) {
  Json json;
  json["metric"] = plateau.of_loss ? "loss" : "accuracy";
  json["best"] = plateau.best ? number_or_word(*plateau.best) : Json();
  json["step"] = plateau.step;
  json["waited"] = plateau.waited;
  json["falls"] = plateau.falls;
  return json;
}

PlateauState parse_plateau(const Json& json) {
  PlateauState plateau;
  const auto metric = json.at("metric").get<std::string>();
  if (metric != "loss" && metric != "accuracy")
    throw CheckpointError("\"" + metric + "\" is no metric of a plateau");
  plateau.of_loss = metric == "loss";
  if (!json.at("best").is_null()) plateau.best = parse_number_or_word(json.at("best"));
  json.at("step").get_to(plateau.step);
  json.at("waited").get_to(plateau.waited);
  json.at("falls").get_to(plateau.falls);
  return plateau;
}

Json to_json(const TrainingState& state) {
  Json json;
  json["step"] = state.step;
  json["epoch"] = state.epoch;
  json["cursor"] = state.cursor;
  json["seed"] = state.seed;
  json["best_metric"] = number_or_word(state.best_metric);
  json["best_step"] = state.best_step ? Json(*state.best_step) : Json();
  if (state.slot_lag != 0) json["slot_lag"] = state.slot_lag;
  if (state.plateau.step > 0) json["plateau"] = to_json(state.plateau);
  json["details"] = Json::parse(state.details);
  return json;
}

TrainingState parse_state(const Json& json) {
  TrainingState state;
  json.at("step").get_to(state.step);
  json.at("epoch").get_to(state.epoch);
  json.at("cursor").get_to(state.cursor);
  json.at("seed").get_to(state.seed);
  state.best_metric = parse_number_or_word(json.at("best_metric"));
  if (!json.at("best_step").is_null()) state.best_step = json.at("best_step").get<std::int64_t>();
  if (const auto lag = json.find("slot_lag"); lag != json.end()) {
    lag->get_to(state.slot_lag);
    if (state.slot_lag < 0 || state.slot_lag > state.step)
      throw CheckpointError("slot_lag = " + lag->dump() + " is no number of its steps");
  }
  if (const auto plateau = json.find("plateau"); plateau != json.end())
    state.plateau = parse_plateau(*plateau);
  state.details = json.at("details").dump();
  return state;
}

Json to_json(const FileRecord& file) {
  return {{"name", file.name}, {"bytes", file.bytes}, {"xxh3_128", file.hash}};
}

FileRecord parse_file(const Json& json) {
  return {json.at("name").get<std::string>(), json.at("bytes").get<std::uint64_t>(),
          json.at("xxh3_128").get<std::string>()};
}

Json to_json(const TensorRecord& tensor) {
  return {{"name", tensor.name},
          {"file", tensor.file},
          {"dtype", "f32"},
          {"dims", Json(tensor.dims)},
          {"xxh3_128", tensor.hash}};
}

TensorRecord parse_tensor(const Json& json) {
  TensorRecord tensor;
  json.at("name").get_to(tensor.name);
  json.at("file").get_to(tensor.file);
  json.at("dims").get_to(tensor.dims);
  json.at("xxh3_128").get_to(tensor.hash);
  if (json.at("dtype") != "f32") {
    throw CheckpointError(tensor.name + ": dtype " + json.at("dtype").dump() +
                          " is not known to this version");
  }
  return tensor;
}

/// One record per line: a person can read and grep it.
template <class Record>
std::string lines_of(const char* key, const std::vector<Record>& records) {
  std::string text = std::string(",\n\"") + key + "\": [";
  for (const Record& record : records) {
    text += (&record == &records.front() ? "\n  " : ",\n  ") + to_json(record).dump();
  }
  return text + "\n]";
}

template <class Record>
std::vector<Record> parse_all(const Json& json, Record (*parse)(const Json&)) {
  std::vector<Record> records;
  for (const Json& entry : json.get_ref<const Json::array_t&>()) records.push_back(parse(entry));
  return records;
}

Json parse_json(const std::string& text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(where + ": " + error.what());
  }
}

void check_self_hash(std::string_view text, const std::string& where) {
  const std::size_t tail = kHashStart.size() + kHashDigits + kHashEnd.size();
  const std::size_t body = text.size() < tail ? 0 : text.size() - tail;
  const std::string expected =
      std::string(kHashStart) + hash128(text.substr(0, body)) + std::string(kHashEnd);
  if (text.substr(body) != expected) {
    throw CheckpointError(where + ": does not match its own hash: damaged or cut short");
  }
}

void check_name(const std::string& name, const std::string& where) {
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos) {
      throw CheckpointError(where + ": \"" + name + "\" cannot name a tensor");
    }
    begin = end + 1;
  }
}

void check_file_name(const std::string& name, const std::string& where) {
  const bool shard = name.starts_with("shard-") && name.ends_with(".h5") &&
                     name.find_first_of(std::string_view("/\0", 2)) == std::string::npos;
  if (!shard && name != kIndexName) {
    throw CheckpointError(where + ": lists a file \"" + name + "\", which is none of a checkpoint");
  }
}

}  // namespace

std::set<std::string> Manifest::names_in(const std::string& file) const {
  std::set<std::string> names;
  for (const TensorRecord& tensor : tensors) {
    if (tensor.file == file) names.insert(tensor.name);
  }
  return names;
}

std::string shard_name(int writer) {
  const std::string digits = std::to_string(writer);
  return "shard-" + std::string(digits.size() < 3 ? 3 - digits.size() : 0, '0') + digits + ".h5";
}

std::string to_text(const ShardReport& report) {
  Json json;
  json["file"] = to_json(report.file);
  json["tensors"] = Json::array();
  for (const TensorRecord& tensor : report.tensors) json["tensors"].push_back(to_json(tensor));
  return json.dump();
}

ShardReport parse_report(const std::string& text) {
  const Json json = parse_json(text, "shard report");
  try {
    return {parse_file(json.at("file")), parse_all(json.at("tensors"), parse_tensor)};
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(std::string("shard report: ") + error.what());
  }
}

std::string to_text(const Manifest& manifest) {
  Json state;
  try {
    state = to_json(manifest.state);
  } catch (const nlohmann::json::exception& error) {
    throw InternalError(std::string("checkpoint details are no JSON: ") + error.what());
  }
  std::string text = std::string("{\n\"format\": \"") + kFormat +
                     "\",\n\"format_version\": " + std::to_string(kFormatVersion) +
                     ",\n\"lockstep_version\": " + Json(version()).dump() +
                     ",\n\"state\": " + state.dump() + lines_of("files", manifest.files) +
                     lines_of("tensors", manifest.tensors);
  const std::string hash = hash128(text);
  return text.append(kHashStart).append(hash).append(kHashEnd);
}

Manifest parse_manifest(const std::string& text, const std::string& where) {
  check_self_hash(text, where);
  const Json json = parse_json(text, where);
  Manifest manifest;
  try {
    if (json.at("format") != kFormat) throw CheckpointError(where + ": is no checkpoint manifest");
    if (json.at("format_version") != kFormatVersion) {
      throw CheckpointError(where + ": format version " + json.at("format_version").dump() +
                            ", but this program reads version " + std::to_string(kFormatVersion));
    }
    manifest.state = parse_state(json.at("state"));
    manifest.files = parse_all(json.at("files"), parse_file);
    manifest.tensors = parse_all(json.at("tensors"), parse_tensor);
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(where + ": " + error.what());
  }
  check_records(manifest.files, manifest.tensors, where);
  return manifest;
}

void check_records(const std::vector<FileRecord>& files, const std::vector<TensorRecord>& tensors,
                   const std::string& where) {
  std::map<std::string, std::uint64_t> bytes_left;
  for (const FileRecord& file : files) {
    check_file_name(file.name, where);
    if (!bytes_left.emplace(file.name, file.bytes).second) {
      throw CheckpointError(where + ": lists " + file.name + " twice");
    }
  }
  std::set<std::string> names;
  for (const TensorRecord& tensor : tensors) {
    check_name(tensor.name, where);
    if (!names.insert(tensor.name).second) {
      throw CheckpointError(where + ": lists the tensor " + tensor.name + " twice");
    }
    const auto file = bytes_left.find(tensor.file);
    if (file == bytes_left.end() || tensor.file == kIndexName) {
      throw CheckpointError(where + ": " + tensor.name + " is said to be in " + tensor.file +
                            ", which is not listed as a shard");
    }
    std::uint64_t bytes = 0;
    try {
      bytes = static_cast<std::uint64_t>(hdf5::elements_of(tensor.dims, tensor.name)) * 4;
    } catch (const hdf5::FormatError& error) {
      throw CheckpointError(where + ": " + error.what());
    }
    if (bytes > file->second) {
      throw CheckpointError(where + ": " + tensor.name + " does not fit into " + tensor.file);
    }
    file->second -= bytes;
  }
}

}  // namespace lockstep
