#include "jobs/job_synonyms.h"

#include <cctype>
#include <cstdlib>
#include <map>

#include "data/error.h"

namespace lockstep {
namespace {

std::string value_of(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (!value) throw ConfigError("the variable " + variable + " is not set");
  return value;
}

}  // namespace

std::string meant_key(std::string_view name) {
  static const std::map<std::string_view, std::string_view> kKeys = {
      {"lr", "optimizer.learning_rate"},      {"base_lr", "optimizer.learning_rate"},
      {"wd", "optimizer.weight_decay"},       {"l2", "optimizer.weight_decay"},
      {"grad_clip", "optimizer.clip_norm"},   {"clip", "optimizer.clip_norm"},
      {"bs", "train.batch"},                  {"batch_size", "train.batch"},
      {"global_batch", "train.batch"},        {"accumulate", "train.micro_batches"},
      {"grad_accum", "train.micro_batches"},  {"gradient_accumulation_steps", "train.micro_batches"},
      {"num_epochs", "train.epochs"},         {"n_epochs", "train.epochs"},
      {"epoch", "train.epochs"},              {"steps", "train.max_steps"},
      {"amp", "train.precision"},             {"dtype", "train.precision"},
      {"syncbn", "train.sync_bn"},            {"patience", "train.early_stopping"},
      {"workers", "data.threads"},            {"num_workers", "data.threads"},
      {"dataset", "data.source"},             {"root", "data.path"},
      {"data_dir", "data.path"},              {"image_size", "data.height"},
      {"arch", "model.family"},               {"model", "model.family"},
      {"layers", "model.depth"},              {"num_layers", "model.depth"},
      {"scheduler", "schedule.policy"},       {"lr_schedule", "schedule.policy"},
      {"warmup", "schedule.warmup_epochs"},   {"output_dir", "run.directory"},
      {"out_dir", "run.directory"},           {"log_interval", "run.log_every_s"},
      {"save_every", "checkpoint.every_steps"}, {"gradient_checkpointing", "memory.recompute"},
      {"num_threads", "parallel.threads"},    {"pipeline_parallel", "parallel.stages"},
  };
  const auto found = kKeys.find(name.substr(name.find('.') + 1));
  return found == kKeys.end() ? std::string() : std::string(found->second);
}

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
    while (end < path.size() && (std::isalnum(static_cast<unsigned char>(path[end])) != 0 || path[end] == '_')) ++end;
    if (end == begin || (braces && (end == path.size() || path[end] != '}')))
      throw ConfigError("a '$' in a path begins a variable's name: $NAME or ${NAME}");
    text += value_of(path.substr(begin, end - begin));
    i = end + (braces ? 1 : 0);
  }
  return text;
}

}  // namespace lockstep
