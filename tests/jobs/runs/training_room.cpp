#include "tests/jobs/runs/training_room.h"

#include <fstream>

#include "data/checkpoint.h"

namespace lockstep::test {
namespace {

using Json = nlohmann::json;

/// A small residual network on made-up pictures, with everything random that training has; 24 steps, 6
/// an epoch.
constexpr const char* kJob = R"(
[run]
name = small
[data]
source = synthetic
synthetic_samples = 92
height = 12
width = 12
[augment]
pad = 2
flip = true
[model]
family = resnet
depth = 8
dropout = 0.2
stochastic_depth = 0.2
[train]
batch = 16
epochs = 4
hash_every = 5
[optimizer]
learning_rate = 0.02
[checkpoint]
every_steps = 3
keep = 3
)";

}  // namespace

TrainingRoom::TrainingRoom() { std::ofstream(path() / "job.cfg") << kJob; }

std::vector<std::string> TrainingRoom::command(const std::string& runs, int ranks,
                                               const std::vector<std::string>& sets,
                                               const std::vector<std::string>& options) const {
  std::vector<std::string> words{LOCKSTEP_PROGRAM,      "launch",    "-n",
                                 std::to_string(ranks), "--threads", "1"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"train", (path() / "job.cfg").string(), "--set",
                             "run.directory=" + (path() / runs).string()});
  for (const std::string& s : sets) words.insert(words.end(), {"--set", s});
  return words;
}

std::vector<Json> TrainingRoom::metrics(const std::string& runs) const {
  std::vector<Json> lines;
  std::istringstream text(file_text(run(runs) / "metrics.jsonl"));
  for (std::string line; std::getline(text, line);) {
    Json json = Json::parse(line, nullptr, false);
    if (json.is_discarded()) break;  // being written
    std::vector<std::string> times;
    for (const auto& [key, value] : json.items())
      if (key.ends_with("_ms") || key == "images_per_second") times.push_back(key);
    for (const std::string& key : times) json.erase(key);
    lines.push_back(std::move(json));
  }
  return lines;
}

std::map<std::string, std::vector<float>> TrainingRoom::tensors(const std::string& runs,
                                                                std::int64_t step) const {
  const Checkpoint checkpoint = Checkpoint::open(run(runs) / "checkpoints" / checkpoint_name(step));
  std::map<std::string, std::vector<float>> tensors;
  for (const std::string& name : checkpoint.names()) {
    std::size_t count = 1;
    for (std::int64_t d : checkpoint.dims(name)) count *= static_cast<std::size_t>(d);
    checkpoint.read(name, tensors.try_emplace(name, count).first->second);
  }
  return tensors;
}

}  // namespace lockstep::test
