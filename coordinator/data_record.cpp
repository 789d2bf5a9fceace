#include "coordinator/data_record.h"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "data/timing.h"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kWorthTelling_s = 2;

std::optional<DataFingerprint> fingerprint_in(const std::string& record, const std::string& split) {
  const Json json = Json::parse(record, nullptr, false);
  if (!json.is_object() || !json.contains(split)) return std::nullopt;
  return parse_fingerprint(json[split].dump());
}

std::vector<std::string> changes_of(const std::string& split,
                                    const std::optional<DataFingerprint>& before,
                                    const std::optional<DataFingerprint>& now) {
  if (!before || !now) return {};
  std::vector<std::string> changes = differences(*before, *now);
  for (std::string& change : changes)
    change.insert(0, split == "train" ? "training data: " : "validation data: ");
  return changes;
}

std::string find_out(const JobData& data) {
  const double begun_s = seconds_now();
  Json json;
  json["train"] = Json::parse(to_json_text(fingerprint_of(data.train_set())));
  if (data.val || data.val_scatter)
    json["val"] = Json::parse(to_json_text(fingerprint_of(data.val_set())));
  if (const double seconds = seconds_now() - begun_s; seconds > kWorthTelling_s)
    spdlog::info("the data's fingerprint took {:.1f} s", seconds);
  return json.dump();
}

}  // namespace

std::string data_record(const JobData& data, const Communicator& world, const std::string& known) {
  std::string record;
  if (world.rank() == 0) record = known.empty() ? find_out(data) : known;
  world.broadcast(record, 0, "fingerprint of the data");
  return record;
}

std::string data_record_of(const std::string& details) {
  const Json json = Json::parse(details, nullptr, false);
  return json.is_object() && json.contains("data") ? json["data"].dump() : "";
}

std::optional<DataFingerprint> training_fingerprint(const std::string& details) {
  return fingerprint_in(data_record_of(details), "train");
}

std::vector<std::string> data_changes(const std::string& before, const std::string& now) {
  std::vector<std::string> changes;
  for (const char* split : {"train", "val"})
    for (std::string& change :
         changes_of(split, fingerprint_in(before, split), fingerprint_in(now, split)))
      changes.push_back(std::move(change));
  return changes;
}

std::vector<std::string> split_changes(const std::string& before, const Dataset& split) {
  const std::string& name = split.info().split;
  return changes_of(name, fingerprint_in(before, name), fingerprint_of(split));
}

}  // namespace lockstep
