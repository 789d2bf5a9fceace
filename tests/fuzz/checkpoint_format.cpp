// manifest.json, index.h5 and two shards. Modes: 0 as they are; 1 the manifest's own hash and its
// files' sizes and hashes repaired, so that JSON and HDF5 get to read what was changed.
#include <bit>
#include <nlohmann/json.hpp>
#include <set>

#include "data/checkpoint.h"
#include "data/error.h"
#include "data/files.h"
#include "tests/fuzz/format.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kNames[] = {"manifest.json", "index.h5", "shard-000.h5", "shard-001.h5"};
constexpr std::size_t kFiles = std::size(kNames);
constexpr std::string_view kHashStart = ",\n\"manifest_xxh3_128\": \"";
constexpr std::string_view kHashEnd = "\"\n}\n";

struct Tensor {
  std::string name;
  std::vector<std::int64_t> dims;
};

Input save(const fs::path& folder, std::int64_t step, const std::vector<Tensor>& tensors) {
  const fs::path directory = temporary_checkpoint_directory(folder, step);
  std::vector<std::vector<float>> values;
  std::vector<TensorView> shares[2];
  for (const Tensor& tensor : tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.dims) elements *= extent;
    std::vector<float>& made = values.emplace_back();
    for (std::int64_t i = 0; i < elements; ++i) made.push_back(static_cast<float>(step + i) / 8);
    shares[values.size() % 2].push_back({tensor.name, tensor.dims, made});
  }
  const std::vector<std::string> reports = {write_shard(directory, 0, shares[0]),
                                            write_shard(directory, 1, shares[1])};
  const TrainingState state{
      .step = step,
      .epoch = 3,
      .cursor = 128,
      .seed = 0xfedcba9876543210u,
      .best_metric = 0.3,
      .best_step = 8,
      .details = R"({"schedule":{"kind":"cosine","lr":0.1},"grid":[2,1],"job":"a\nb"})"};
  const fs::path published = publish_checkpoint(folder, state, reports);
  Input input;
  for (const char* name : kNames) input.files.push_back(slurp(published / name));
  return input;
}

/// Ends the text with its hash; what was behind the start of that line goes.
void repair_self_hash(std::string& manifest) {
  manifest.resize(std::min(manifest.rfind(kHashStart), manifest.size()));
  const std::string hash = hash128(manifest);
  manifest.append(kHashStart).append(hash).append(kHashEnd);
}

void repair(Input& input) {
  std::string& manifest = input.files[0];
  Json json = Json::parse(manifest, nullptr, false);
  if (json.is_object() && json.contains("files") && json["files"].is_array()) {
    for (Json& file : json["files"]) {
      for (std::size_t f = 1; f < kFiles; ++f) {
        if (!file.is_object() || file.value("name", Json()) != kNames[f]) continue;
        file["bytes"] = input.files[f].size();
        file["xxh3_128"] = hash128(input.files[f]);
      }
    }
    json.erase("manifest_xxh3_128");
    manifest = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (!manifest.empty()) manifest.pop_back();
  }
  repair_self_hash(manifest);
}

/// Hash of all that training takes from it.
std::string content(const Checkpoint& checkpoint) {
  const TrainingState& state = checkpoint.state();
  Json json{state.step,
            state.epoch,
            state.cursor,
            state.seed,
            std::bit_cast<std::uint64_t>(state.best_metric),
            state.best_step.value_or(-1)};
  json.push_back(state.details);
  std::string text = json.dump();
  for (const std::string& name : checkpoint.names()) {
    const std::vector<std::int64_t>& dims = checkpoint.dims(name);
    std::size_t elements = 1;
    for (const std::int64_t extent : dims) elements *= static_cast<std::size_t>(extent);
    std::vector<float> values(elements);
    checkpoint.read(name, values);
    text += Json{name, dims, hash128(std::as_bytes(std::span(values)))}.dump(
        -1, ' ', false, Json::error_handler_t::replace);
  }
  return hash128(text);
}

class CheckpointFormat : public Format {
 public:
  explicit CheckpointFormat(const fs::path& folder)
      : Format("checkpoint", kFiles, 2, {std::uint64_t{32} << 20, 16}) {
    originals_.push_back(save(folder / "a", 12,
                              {{"parameters/stem.conv.weight", {4, 3, 3, 3}},
                               {"parameters/fc.bias", {10}},
                               {"momentum/stem.conv.weight", {4, 3, 3, 3}},
                               {"momentum/fc.bias", {10}},
                               {"statistics/stem.norm.mean", {4}},
                               {"loss_scale", {}},
                               {"empty", {0, 3}}}));
    std::vector<Tensor> many;  // more than one node of HDF5's trees holds
    for (int i = 0; i < 40; ++i) many.push_back({"parameters/block" + std::to_string(i), {i, 2}});
    originals_.push_back(save(folder / "b", 700000, many));
    for (const Input& original : originals_) {
      manifests_.insert(original.files[0]);
      write(original, folder);
      contents_.insert(content(Checkpoint::open(folder)));
    }
    vocabulary_.words = {"..",
                         "/",
                         "\"dims\":[-1]",
                         "\"dims\":[4294967296,4294967296]",
                         "null",
                         "[",
                         "{",
                         "shard-001.h5",
                         "nan",
                         "\"inf\"",
                         "\\u0000",
                         "\xff\xfe"};
    vocabulary_.marks = {"\x89HDF",
                         "TREE",
                         "SNOD",
                         "HEAP",
                         std::string("\x01\0\x06\0", 4),
                         std::string("\x08\0\x18\0", 4),
                         std::string("\x11\0\x10\0", 4)};
  }

  void read(const Input& input, const fs::path& folder) const override {
    const bool same_manifest = manifests_.contains(input.files[0]);
    Input files = input;
    const bool repaired = (input.mode & 1) != 0;
    if (repaired) repair(files);
    write(files, folder);
    const Checkpoint checkpoint = Checkpoint::open(folder);
    const bool same = contents_.contains(content(checkpoint));
    // A manifest that was changed and given the right hash is another checkpoint's.
    if (!same && (!repaired || same_manifest)) {
      throw Finding("a checkpoint of other content was taken as good");
    }
  }

 private:
  static void write(const Input& input, const fs::path& folder) {
    for (std::size_t f = 0; f < kFiles; ++f) spill(folder / kNames[f], input.files[f], input.mode);
  }

  std::set<std::string> manifests_, contents_;
};

}  // namespace

std::unique_ptr<Format> make_checkpoint_format(const fs::path& folder) {
  return std::make_unique<CheckpointFormat>(folder);
}

}  // namespace lockstep::fuzz
