// lockstep predict: what a run's network says of pictures.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/checkpoint_choice.h"
#include "coordinator/job.h"
#include "data/error.h"
#include "data/image_folder.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/job_file.h"
#include "jobs/predictor.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

constexpr std::int64_t kMostAtOnce = 32;

struct PredictRequest {
  std::string run, checkpoint;  // checkpoint: best | STEP | DIR; empty: the newest good one
  std::vector<std::string> pictures;
  int top = 5;
  bool json = false;
};

Checkpoint open_checkpoint_of(const PredictRequest& request) {
  if (request.run.ends_with(".cfg") && fs::is_regular_file(request.run)) {
    const RunOptions run = load_job(request.run).run;
    throw ConfigError("lockstep predict: " + request.run +
                      " is a job file; name its run's directory: " +
                      (fs::path(run.directory) / run.name).string());
  }
  CheckpointChoice choice = parse_checkpoint_choice(
      request.checkpoint.empty() && !fs::exists(request.run) ? request.run : request.checkpoint);
  if (choice.directory.empty()) choice.directory = request.run;
  return open_named_checkpoint(choice);
}

std::string line_of(const std::string& picture, const std::vector<Likely>& likely,
                    const Predictor& predictor) {
  std::string text = picture + ":";
  char percent[16];
  for (const Likely& one : likely) {
    const std::string name = predictor.class_name(one.label);
    std::snprintf(percent, sizeof percent, " %.2f%%", 100 * one.probability);
    text += (&one == &likely.front() ? " " : ", ") +
            (name.empty() ? "class " + std::to_string(one.label) : name) + percent;
  }
  return text;
}

std::string json_of(const std::string& picture, const std::vector<Likely>& likely,
                    const Predictor& predictor) {
  using Json = nlohmann::ordered_json;
  Json json{{"picture", picture}, {"top", Json::array()}};
  for (const Likely& one : likely) {
    Json entry;
    if (const std::string name = predictor.class_name(one.label); !name.empty())
      entry["class"] = name;
    entry["label"] = one.label;
    entry["probability"] = one.probability;
    json["top"].push_back(entry);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Goes over the pictures, batch by batch; one that cannot be read is told of and left out.
class Prediction {
 public:
  Prediction(const PredictRequest& request, const Dataset& pictures, Predictor& predictor)
      : request_(request), pictures_(pictures), predictor_(predictor) {}

  void run() {
    for (std::int64_t at = 0; at < pictures_.size(); ++at) {
      read(at);
      if (std::ssize(batch_) == kMostAtOnce || at + 1 == pictures_.size()) print();
    }
    if (cropped_ > 0)
      spdlog::warn(
          "{} pictures are not {} x {} pixels: the middle was taken, as validation did (the run "
          "has no augment.resize)",
          cropped_, predictor_.input().height, predictor_.input().width);
    if (bad_ > 0)
      throw DataError(std::to_string(bad_) + " of " + std::to_string(pictures_.size()) +
                      " pictures could not be classified (see above)");
  }

 private:
  void read(std::int64_t at) {
    const AugmentOptions& input = predictor_.input();
    try {
      pictures_.read_reduced(at, image_, [&](int height, int width) {
        return least_scale(input, {}, false, height, width);
      });
      predictor_.put(static_cast<int>(batch_.size()), image_);
      cropped_ +=
          input.resize == 0 && (image_.height != input.height || image_.width != input.width);
      batch_.push_back(pictures_.where(at));
    } catch (const DataError& error) {
      const std::string text = error.what(), where = pictures_.where(at);
      spdlog::error("{}{}", text.starts_with(where) ? "" : where + ": ", text);
      ++bad_;
    }
  }

  void print() {
    if (batch_.empty()) return;
    const auto logits = predictor_.logits(static_cast<int>(batch_.size()));
    const auto classes = static_cast<std::size_t>(predictor_.classes());
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      const auto of_picture = logits.subspan(i * classes, classes);
      if (!std::ranges::all_of(of_picture, [](float value) { return std::isfinite(value); }))
        throw DataError(batch_[i] + ": the network gives no numbers; has the training diverged?");
      const auto likely = most_likely(of_picture, request_.top);
      std::cout << (request_.json ? json_of(batch_[i], likely, predictor_)
                                  : line_of(batch_[i], likely, predictor_))
                << "\n";
    }
    std::cout.flush();
    batch_.clear();
  }

  const PredictRequest& request_;
  const Dataset& pictures_;
  Predictor& predictor_;
  Image image_;
  std::vector<std::string> batch_;  // names of the places' pictures
  std::int64_t cropped_ = 0, bad_ = 0;
};

CommandSyntax predict_syntax(PredictRequest& request) {
  CommandSyntax syntax{
      .usage = "predict RUN PICTURE... [OPTIONS]",
      .about =
          "Classifies pictures (JPEG, PNG; a folder gives all below it) with a checkpoint of the "
          "run in the\ndirectory RUN, as in runs/NAME. Pictures are prepared as validation "
          "prepares them. Prints a line for each:\nits most likely classes, with probabilities. "
          "Exits with 65 if one of them could not be classified."};
  syntax.options.add_options()(
      "checkpoint", po::value<std::string>(&request.checkpoint)->value_name("best|STEP|DIR"),
      "The best by validation, the one of a step, or a directory. Default: the newest good one "
      "of RUN (also RUN:best, RUN:STEP).")("top", po::value<int>(&request.top)->value_name("N"),
                                           "How many classes of each picture. Default: 5.")(
      "json", po::bool_switch(&request.json), "Print a JSON object for each picture, a line each.");
  syntax.hidden.add_options()("run", po::value<std::string>(&request.run))(
      "picture", po::value<std::vector<std::string>>(&request.pictures));
  syntax.positions.add("run", 1).add("picture", -1);
  return syntax;
}

}  // namespace

int run_predict(std::span<const std::string> arguments) {
  PredictRequest request;
  const CommandSyntax syntax = predict_syntax(request);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (request.run.empty() || request.pictures.empty())
    throw ConfigError(
        "lockstep predict: name a run and pictures, as in: lockstep predict runs/NAME PICTURE.jpg");
  if (request.top < 1) throw ConfigError("lockstep predict: --top must be at least 1");
  const Checkpoint checkpoint = open_checkpoint_of(request);
  const auto pictures = open_pictures(request.pictures);
  for (const std::string& warning : pictures->info().warnings) spdlog::warn("{}", warning);

  MpiSession mpi;
  const Communicator world = Communicator::world();
  if (world.size() > 1)
    throw ConfigError("lockstep predict: it is one process; start it without a launcher");
  Predictor predictor(checkpoint, static_cast<int>(std::min(kMostAtOnce, pictures->size())), world);
  Prediction(request, *pictures, predictor).run();
  return 0;
}

}  // namespace lockstep
