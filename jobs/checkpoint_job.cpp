#include "jobs/checkpoint_job.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>

#include "coordinator/checkpoint_choice.h"
#include "coordinator/run_record.h"
#include "data/checkpoint_head.h"
#include "data/error.h"
#include "jobs/job_check.h"
#include "jobs/job_key.h"
#include "layers/evaluation_text.h"

namespace lockstep {

namespace {

bool is_any_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::ranges::find(names, name) != names.end();
}

/// Keys of [model] that change nothing of what trained weights compute.
bool trains_only(const std::string& key) {
  return is_any_of(
      key, {"model.norm_momentum", "model.last_gamma", "model.dropout", "model.stochastic_depth",
            "model.label_smoothing", "model.gate_bias", "model.layer_scale"});
}

bool is_of_model(const std::string& key) { return key.starts_with("model.") && !trains_only(key); }
bool is_of_pixels(const std::string& key) {
  return is_any_of(key, {"augment.mean", "augment.std"});
}
bool is_of_size(const std::string& key) {
  return is_any_of(key, {"data.channels", "data.height", "data.width"});
}

/// Said, and not said to be as the data has it.
bool is_said(const SaidJob& said, const JobKey& key) {
  if (!said.places.contains(key.name)) return false;
  const std::string value = key.get(said.job);
  return is_of_pixels(key.name) ? !value.empty() : !is_of_size(key.name) || value != "0";
}

/// The checkpoint's value of a key, "" where it is not known. Sizes are known by the data's too, but for a run that
/// goes on: there the data says them again.
std::string value_in(const CheckpointJob& saved, const JobKey& key, CheckpointUse use) {
  std::string value = saved.known.contains(key.name) ? key.get(saved.job) : "";
  Job by_facts;
  by_facts.augment.mean = saved.facts.mean;
  by_facts.augment.std = saved.facts.std;
  const Shape& input = saved.facts.input;
  if (input.channels > 0) {
    by_facts.data.channels = input.channels;
    by_facts.data.height = input.height;
    by_facts.data.width = input.width;
  }
  if (is_of_pixels(key.name)) return value.empty() ? key.get(by_facts) : value;
  if (!is_of_size(key.name)) return value;
  const std::string size = value.empty() || value == "0"
                               ? (use == CheckpointUse::kResume ? "" : key.get(by_facts))
                               : value;
  return size == "0" ? "" : size;
}

/// One value stands for all channels.
bool same_pixels(std::vector<float> a, std::vector<float> b) {
  if (a.size() == 1) a.resize(std::max(a.size(), b.size()), a.front());
  if (b.size() == 1) b.resize(std::max(a.size(), b.size()), b.front());
  return a == b;
}

/// Whether weights of the checkpoint compute something else with the job's value of this key: `auto` and the word that
/// it stands for are the same.
bool changes_network(const JobKey& key, const Job& job, const CheckpointJob& saved) {
  Job other = saved.job;
  key.set(other, key.get(job));
  if (is_of_pixels(key.name)) {
    return !same_pixels(other.augment.mean, saved.job.augment.mean) ||
           !same_pixels(other.augment.std, saved.job.augment.std);
  }
  const Shape input = saved.facts.input.channels > 0 ? saved.facts.input : Shape{3, 32, 32};
  const int classes = std::max(saved.facts.classes, 2);
  try {
    return evaluation_text(build_model(other.model, input, classes)) !=
           evaluation_text(build_model(saved.job.model, input, classes));
  } catch (const Error&) {  // does not go with the other keys of the checkpoint
    return true;
  }
}

class Fitting {
 public:
  Fitting(SaidJob& said, const std::string& checkpoint, CheckpointJob saved, CheckpointUse use)
      : said_(said), checkpoint_(checkpoint), saved_(std::move(saved)), use_(use) {}

  JobFit fit() {
    compare_networks();
    if (use_ != CheckpointUse::kResume)
      compare_rest();  // the trainer tells what a run's job has changed
    for (const JobKey& key : job_keys()) take(key);
    check_job(said_.job, [&](const std::string& key) {
      const auto found = said_.places.find(key);
      return found == said_.places.end() ? checkpoint_ : found->second;
    });
    return std::move(fit_);
  }

 private:
  /// "model.norm_eps = 0.001 (a.cfg:12)"
  std::string job_says(const JobKey& key) const {
    return key.name + " = " + key.get(said_.job) + " (" + said_.places.at(key.name) + ")";
  }
  bool differs(const JobKey& key) const {
    const std::string before = value_in(saved_, key, use_);
    return !before.empty() && is_said(said_, key) && key.get(said_.job) != before;
  }

  void compare_networks();
  void compare_rest();
  void take(const JobKey& key);

  SaidJob& said_;
  const std::string& checkpoint_;
  const CheckpointJob saved_;
  const CheckpointUse use_;
  bool other_family_ = false, other_size_ = false;
  JobFit fit_;
};

void Fitting::compare_networks() {
  std::string differences;
  int count = 0;
  CheckpointJob before = saved_;
  if (before.job.augment.mean.empty()) before.job.augment.mean = before.facts.mean;
  if (before.job.augment.std.empty()) before.job.augment.std = before.facts.std;
  for (const JobKey& key : job_keys()) {
    if (!is_of_model(key.name) && !is_of_pixels(key.name)) continue;
    if (!differs(key) || !changes_network(key, said_.job, before)) continue;
    if (key.name == "model.family") other_family_ = true;
    const std::string there = value_in(saved_, key, use_);
    differences += (count++ > 0 ? ", " : "") + job_says(key) + ", there " + there;
    if (use_ != CheckpointUse::kResume)
      fit_.warnings.push_back(checkpoint_ + " has " + key.name + " = " + there +
                              "; what counts is " + job_says(key));
  }
  if (count == 0 || said_.job.checkpoint.on_changed == "warn") return;
  throw CheckpointError(
      checkpoint_ + ": it is of another model or input than the job: " + differences + ". Take " +
      (count > 1 ? "these keys" : "this key") +
      " out of the job, so that the checkpoint's values count; " +
      (use_ == CheckpointUse::kResume ? "or begin anew, with another run.name; " : "") +
      "or set checkpoint.on_changed = warn, so that the job's do");
}

/// What may well be wanted: another size of the input, or another loss to be measured.
void Fitting::compare_rest() {
  for (const JobKey& key : job_keys()) {
    const bool loss = key.name == "model.label_smoothing" && use_ == CheckpointUse::kEvaluate;
    if (!is_of_size(key.name) && key.name != "augment.resize" && !loss) continue;
    if (!differs(key)) continue;
    other_size_ = other_size_ || is_of_size(key.name);
    fit_.warnings.push_back(checkpoint_ + " was trained with " + key.name + " = " +
                            value_in(saved_, key, use_) + "; what counts is " + job_says(key));
  }
}

void Fitting::take(const JobKey& key) {
  // of evaluations: what they load, and may save again, is whole
  if (key.name == "optimizer.name" && use_ == CheckpointUse::kEvaluate &&
      saved_.known.contains(key.name))
    key.set(said_.job, key.get(saved_.job));
  const bool of_model = key.name.starts_with("model.");
  if (!of_model && !is_of_pixels(key.name) && !is_of_size(key.name) && key.name != "augment.resize")
    return;
  if (is_said(said_, key) || (of_model && other_family_)) return;
  if (trains_only(key.name) && use_ != CheckpointUse::kEvaluate) return;
  if (key.name == "augment.resize" && other_size_) return;  // it is for the checkpoint's size
  const std::string value = value_in(saved_, key, use_);
  if (value.empty() || value == key.get(said_.job)) return;
  key.set(said_.job, value);
  const bool usual = is_of_size(key.name) || trains_only(key.name) ||
                     (is_of_pixels(key.name) && saved_.job.data.source == said_.job.data.source);
  if (!usual || key.name == "model.label_smoothing")
    fit_.notes.push_back(key.name + " = " + value + ", as " + checkpoint_ +
                         " has it: the job does not say");
}

/// On rank 0: the name and the details of what a training will begin with; nothing where it begins from the seed.
struct Beginning {
  std::string name, details;
  CheckpointUse use = CheckpointUse::kResume;
};

std::optional<Beginning> find_beginning(const Job& job) {
  const std::filesystem::path run = std::filesystem::path(job.run.directory) / job.run.name;
  if (job.run.resume)
    if (const auto own = newest_checkpoint_head(run / "checkpoints"))
      return Beginning{own->directory.string(), own->state.details, CheckpointUse::kResume};
  if (job.run.start_from.empty()) return std::nullopt;
  const Checkpoint other = open_checkpoint(parse_checkpoint_choice(job.run.start_from), run);
  return Beginning{other.directory().string(), other.state().details, CheckpointUse::kStartFrom};
}

}  // namespace

CheckpointJob checkpoint_job(const std::string& details) {
  CheckpointJob saved;
  saved.facts = input_facts_of(details);
  saved.text = recorded_job(details);
  for (const auto& [name, value] : recorded_keys(details))
    if (const JobKey* key = find_job_key(name); key && key->set(saved.job, value))
      saved.known.insert(name);
  return saved;
}

std::string job_text_of(Job job, const std::string& recorded) {
  const Job defaults;
  if (has_filled_in(recorded)) {
    job.augment.mean = defaults.augment.mean;
    job.augment.std = defaults.augment.std;
  }
  std::string text;
  for (const JobKey& key : job_keys())
    if (key.get(job) != key.get(defaults)) text += "  " + key.name + " = " + key.get(job) + "\n";
  return text;
}

void tell(const JobFit& fit) {
  for (const std::string& note : fit.notes) spdlog::info("{}", note);
  for (const std::string& warning : fit.warnings) spdlog::warn("{}", warning);
}

JobFit fit_to_checkpoint(SaidJob& said, const std::string& checkpoint, const std::string& details,
                         CheckpointUse use) {
  CheckpointJob saved = checkpoint_job(details);
  if (saved.known.empty())
    return {
        .notes = {},
        .warnings = {checkpoint +
                     " does not tell what model and input it was made with (older versions did not "
                     "write it): they are not compared with the job"}};
  return Fitting(said, checkpoint, std::move(saved), use).fit();
}

void fit_to_run(SaidJob& said, const Communicator& world) {
  Beginning beginning;
  if (world.rank() == 0)
    if (auto found = find_beginning(said.job)) beginning = std::move(*found);
  world.broadcast(beginning.name, 0, "checkpoint");
  if (beginning.name.empty()) return;
  world.broadcast(beginning.details, 0, "checkpoint");
  world.broadcast_value(beginning.use, 0, "checkpoint");
  const JobFit fit = fit_to_checkpoint(said, beginning.name, beginning.details, beginning.use);
  if (world.rank() == 0) tell(fit);
}

}  // namespace lockstep
