#include "jobs/predictor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "coordinator/data_record.h"
#include "coordinator/rank_cpus.h"
#include "coordinator/saver.h"
#include "data/error.h"
#include "data/fingerprint.h"
#include "layers/cpu/instruction_set.h"
#include "layers/layout.h"

namespace lockstep {

namespace {

/// What the data of the training were: folder, cifar10, ...; "": not known.
std::string source_of(const CheckpointJob& saved, const std::string& details) {
  if (const auto train = training_fingerprint(details)) return train->source;
  return saved.job.data.source;
}

void check_use(const CheckpointJob& saved, const std::string& name) {
  const InputFacts& facts = saved.facts;
  if (saved.known.empty() || facts.input.channels == 0 || facts.classes == 0)
    throw CheckpointError(
        name +
        ": it does not tell what model and input it was made with (older versions did not write "
        "it); use lockstep eval JOB.cfg, or go on training: the next checkpoint will tell");
  if (labels_pixels(saved.job.model))
    throw ConfigError("lockstep predict: " + name +
                      " is of model.family = " + saved.job.model.family +
                      ", which gives every pixel a class; predict is for networks that classify "
                      "whole pictures. lockstep eval JOB.cfg tells mean IoU");
  if (facts.input.channels != 1 && facts.input.channels != 3)
    throw ConfigError("lockstep predict: " + name + " was trained on pictures of " +
                      std::to_string(facts.input.channels) +
                      " channels; JPEG and PNG files have 1 or 3. Put such pictures into IDX files "
                      "as validation data, and use lockstep eval JOB.cfg");
}

/// What decides what the network computes, of a job for a few pictures on this machine.
Job job_for(const CheckpointJob& saved, int most) {
  Job job;
  job.model = saved.job.model;
  job.train.batch = most;
  job.train.winograd = saved.job.train.winograd;
  job.train.precision = saved.job.train.precision;
  if (job.train.precision == "bf16" && cpu::bf16_support() == cpu::Bf16Support::kEmulated) {
    spdlog::warn("trained with train.precision = bf16, which this CPU does not have: f32 here");
    job.train.precision = "f32";
  }
  return job;
}

AugmentOptions as_validation(const CheckpointJob& saved) {
  const InputFacts& facts = saved.facts;
  AugmentOptions options{.channels = facts.input.channels,
                         .height = facts.input.height,
                         .width = facts.input.width,
                         .resize = facts.resize,
                         .mean = facts.mean,
                         .std = facts.std};
  check(options);
  return options;
}

}  // namespace

std::vector<Likely> most_likely(std::span<const float> logits, int count) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](int label) {
    return static_cast<double>(logits[static_cast<std::size_t>(label)]);
  };
  count = std::min(count, static_cast<int>(order.size()));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int a, int b) {
    return logit(a) != logit(b) ? logit(a) > logit(b) : a < b;
  });
  double sum = 0;
  for (const float value : logits) sum += std::exp(static_cast<double>(value) - logit(order[0]));
  std::vector<Likely> likely;
  for (int i = 0; i < count; ++i) {
    const int label = order[static_cast<std::size_t>(i)];
    likely.push_back({label, std::exp(logit(label) - logit(order[0])) / sum});
  }
  return likely;
}

Predictor::Predictor(const Checkpoint& checkpoint, int most, const Communicator& self)
    : saved_(checkpoint_job(checkpoint.state().details)) {
  const std::string name = checkpoint.directory().string();
  if (saved_.facts.classes == 0)
    saved_.facts.classes = static_cast<int>(saved_.facts.class_names.size());
  check_use(saved_, name);
  augment_ = as_validation(saved_);
  any_size_ = source_of(saved_, checkpoint.state().details) == "folder";
  const Job job = job_for(saved_, most);
  Graph graph = build_model(job.model, saved_.facts.input, saved_.facts.classes);
  RankOptions options = rank_options(job, graph, 1, lanes_of_rank(0, self));
  options.memory = {};  // the budget is of training
  augment_.planar = planar_input(options.plan.layout);
  engine_ = std::make_unique<Engine>(plan_rank(std::move(graph), options), self);
  load_checkpoint(checkpoint, engine_->state());
  pixels_ = Arena(static_cast<std::size_t>(saved_.facts.input.elements() * most) * sizeof(float));
  labels_.resize(static_cast<std::size_t>(most));
}

Predictor::~Predictor() = default;

std::string Predictor::class_name(int label) const {
  const auto& names = saved_.facts.class_names;
  const auto at = static_cast<std::size_t>(label);
  return at < names.size() ? names[at] : "";
}

void Predictor::put(int place, const Image& picture) {
  const bool fits = picture.height == augment_.height && picture.width == augment_.width;
  if (!fits && augment_.resize == 0 && !any_size_)
    throw DataError("a picture of " + std::to_string(picture.height) + " x " +
                    std::to_string(picture.width) + " pixels; the network was trained on " +
                    std::to_string(augment_.height) + " x " + std::to_string(augment_.width) +
                    ", without augment.resize: scale the picture to that");
  const auto at = static_cast<std::size_t>(saved_.facts.input.elements() * place);
  augment(picture, augment_, {}, false, reinterpret_cast<float*>(pixels_.data()) + at);
}

std::span<const float> Predictor::logits(int count) {
  Executor& executor = engine_->evaluator();
  executor.prepare(count);
  executor.run({.pixels = reinterpret_cast<const float*>(pixels_.data()),
                .labels = labels_.data(),
                .images = count,
                .update_running = false});
  return {executor.logits(), static_cast<std::size_t>(count * classes())};
}

}  // namespace lockstep
