#include "data/fingerprint.h"

#include <algorithm>
#include <array>
#include <future>
#include <nlohmann/json.hpp>
#include <span>

#include "data/files.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostSamples = 256;
constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;
constexpr std::int64_t kThreads = 8;          // file systems over a network answer many at once
constexpr std::int64_t kThreadsFrom = 4096;   // files
constexpr std::size_t kMostNamedClasses = 3;  // in a message

std::array<std::byte, 8> little_endian(std::uint64_t value) {
  std::array<std::byte, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return bytes;
}

void add_number(Hash128& hash, std::uint64_t value) { hash.update(little_endian(value)); }

std::vector<std::uint64_t> sizes_of(const Dataset& dataset) {
  std::vector<std::uint64_t> sizes(static_cast<std::size_t>(dataset.size()));
  const auto measure = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      sizes[static_cast<std::size_t>(i)] = dataset.encoded_bytes(i);
  };
  if (dataset.size() < kThreadsFrom) {
    measure(0, dataset.size());
    return sizes;
  }
  std::vector<std::future<void>> parts;
  for (std::int64_t t = 0; t < kThreads; ++t)
    parts.push_back(std::async(std::launch::async, measure, dataset.size() * t / kThreads,
                               dataset.size() * (t + 1) / kThreads));
  for (std::future<void>& part : parts) part.get();  // throws what the first of them has thrown
  return sizes;
}

std::string hash_files(const Dataset& dataset, const std::vector<std::uint64_t>& sizes) {
  Hash128 hash;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const std::string name = dataset.file_name(i);
    hash.update(std::as_bytes(std::span(name.c_str(), name.size() + 1)));
    add_number(hash, sizes[static_cast<std::size_t>(i)]);
  }
  return hash.hex();
}

std::string hash_all(const Dataset& dataset) {
  Hash128 hash;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    add_number(hash, static_cast<std::uint64_t>(i));
    add_number(hash, dataset.checksum(i));
  }
  return hash.hex();
}

/// The sample that is looked at as number `k`.
std::int64_t looked_at(std::int64_t k, std::int64_t samples) {
  if (samples <= kMostSamples) return k;
  return static_cast<std::int64_t>(hash64(little_endian(static_cast<std::uint64_t>(k))) %
                                   static_cast<std::uint64_t>(samples));
}

void add_content(const Dataset& dataset, DataFingerprint& fingerprint) {
  if (fingerprint.source.starts_with("synthetic") && dataset.info().origin.empty()) return;
  if (dataset.has_checksums()) fingerprint.all_content = hash_all(dataset);
  Hash128 hash;
  std::uint64_t bytes = 0;
  std::int64_t& k = fingerprint.content_samples;
  for (; k < std::min(kMostSamples, dataset.size()) && bytes < kMostBytes; ++k) {
    const std::int64_t sample = looked_at(k, dataset.size());
    add_number(hash, static_cast<std::uint64_t>(sample));
    add_number(hash, dataset.checksum(sample));
    bytes += dataset.encoded_bytes(sample);
  }
  fingerprint.content = hash.hex();
}

void add_labels(const Dataset& dataset, DataFingerprint& fingerprint) {
  if (dataset.info().masks) return;
  fingerprint.class_counts.resize(static_cast<std::size_t>(fingerprint.classes));
  Hash128 hash;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const int label = dataset.label(i);  // in range: opening has checked it
    ++fingerprint.class_counts[static_cast<std::size_t>(label)];
    add_number(hash, static_cast<std::uint64_t>(label));
  }
  fingerprint.labels = hash.hex();
}

std::string class_name(const DataFingerprint& fingerprint, std::size_t label) {
  return label < fingerprint.class_names.size() ? "'" + fingerprint.class_names[label] + "'"
                                                : "label " + std::to_string(label);
}

/// "6 samples of 'cat', before 5; ..."
std::string count_differences(const DataFingerprint& before, const DataFingerprint& now) {
  std::string text;
  std::size_t others = 0;
  for (std::size_t label = 0; label < now.class_counts.size(); ++label) {
    if (now.class_counts[label] == before.class_counts[label]) continue;
    if (others++ >= kMostNamedClasses) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(now.class_counts[label]) + " samples of " +
            class_name(now, label) + ", before " + std::to_string(before.class_counts[label]);
  }
  if (others > kMostNamedClasses)
    text += ", and others of " + std::to_string(others - kMostNamedClasses) + " more classes";
  return text;
}

std::string class_difference(const DataFingerprint& before, const DataFingerprint& now) {
  if (before.classes != now.classes)
    return std::to_string(now.classes) + " classes, before " + std::to_string(before.classes);
  if (before.class_names.size() != now.class_names.size()) return "";  // one of them does not know
  for (std::size_t label = 0; label < now.class_names.size(); ++label)
    if (now.class_names[label] != before.class_names[label])
      return "label " + std::to_string(label) + " is '" + now.class_names[label] + "', before '" +
             before.class_names[label] + "'";
  return "";
}

bool differ(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty() && a != b;
}

/// Of data sets with as many samples of as many classes.
void add_sample_differences(const DataFingerprint& before, const DataFingerprint& now,
                            std::vector<std::string>& found) {
  if (differ(before.labels, now.labels)) {
    const std::string counts = count_differences(before, now);
    found.push_back("other labels: " +
                    (counts.empty() ? "as many of each class, of other samples" : counts));
  }
  if (differ(before.files, now.files)) found.push_back("other names or sizes of files");
  if (differ(before.all_content, now.all_content))
    found.push_back("other content of samples");
  else if (before.content_samples == now.content_samples && differ(before.content, now.content))
    found.push_back("other content, in the " + std::to_string(now.content_samples) +
                    " samples that are looked at");
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

DataFingerprint fingerprint_of(const Dataset& dataset) {
  const DatasetInfo& info = dataset.info();
  DataFingerprint fingerprint{.source = info.origin.empty() ? info.source : info.origin,
                              .samples = info.samples,
                              .classes = info.classes};
  for (const std::string& name : info.class_names)  // any bytes: as they come back from JSON
    fingerprint.class_names.push_back(Json::parse(dumped(name)).get<std::string>());
  add_labels(dataset, fingerprint);
  if (dataset.size() > 0 && !dataset.file_name(0).empty())
    fingerprint.files = hash_files(dataset, sizes_of(dataset));
  add_content(dataset, fingerprint);
  return fingerprint;
}

std::vector<std::string> differences(const DataFingerprint& before, const DataFingerprint& now) {
  std::vector<std::string> found;
  if (before.source != now.source)
    found.push_back("data of the source " + now.source + ", before " + before.source);
  if (before.samples != now.samples)
    found.push_back(std::to_string(now.samples) + " samples, before " +
                    std::to_string(before.samples));
  if (const std::string classes = class_difference(before, now); !classes.empty())
    found.push_back(classes);
  const bool comparable =
      before.samples == now.samples && before.class_counts.size() == now.class_counts.size();
  if (comparable) add_sample_differences(before, now, found);
  return found;
}

std::string to_json_text(const DataFingerprint& fingerprint) {
  Json json;
  json["source"] = fingerprint.source;
  json["samples"] = fingerprint.samples;
  json["classes"] = fingerprint.classes;
  json["class_names"] = fingerprint.class_names;
  json["class_counts"] = fingerprint.class_counts;
  json["labels"] = fingerprint.labels;
  json["files"] = fingerprint.files;
  json["content"] = fingerprint.content;
  json["content_samples"] = fingerprint.content_samples;
  json["all_content"] = fingerprint.all_content;
  return dumped(json);
}

std::optional<DataFingerprint> parse_fingerprint(const std::string& json_text) {
  const Json json = Json::parse(json_text, nullptr, false);
  try {
    return DataFingerprint{.source = json.at("source"),
                           .samples = json.at("samples"),
                           .classes = json.at("classes"),
                           .class_names = json.at("class_names").get<std::vector<std::string>>(),
                           .class_counts = json.at("class_counts").get<std::vector<std::int64_t>>(),
                           .labels = json.at("labels"),
                           .files = json.at("files"),
                           .content = json.at("content"),
                           .content_samples = json.at("content_samples"),
                           .all_content = json.at("all_content")};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace lockstep
