#include "jobs/job_synonyms.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

#include "data/error.h"
#include "data/spelling.h"

namespace lockstep {
namespace {

constexpr std::string_view kBetas = "they are two keys here, optimizer.beta1 and optimizer.beta2";
constexpr std::string_view kDevices =
    "training is on CPUs; lockstep launch -n N, mpirun or srun starts N ranks";
constexpr std::string_view kRanks =
    "the launcher says how many ranks there are: lockstep launch -n N, mpirun or srun";
constexpr std::string_view kClasses = "classes are counted in the data (of masks: data.classes)";

using Words = std::map<std::string_view, std::string_view>;

// Tables, several entries a line:
// clang-format off
/// Keys as other programs call them; a section is only part of the name where the name alone says too little.
const Words kKeys = {
    {"lr", "optimizer.learning_rate"}, {"base_lr", "optimizer.learning_rate"}, {"max_lr", "optimizer.learning_rate"},
    {"initial_lr", "optimizer.learning_rate"}, {"wd", "optimizer.weight_decay"}, {"l2", "optimizer.weight_decay"},
    {"optimizer", "optimizer.name"}, {"optim", "optimizer.name"}, {"optimizer.type", "optimizer.name"},
    {"optimizer.algorithm", "optimizer.name"}, {"adam_beta1", "optimizer.beta1"}, {"adam_beta2", "optimizer.beta2"},
    {"adam_epsilon", "optimizer.eps"}, {"epsilon", "optimizer.eps"}, {"opt_eps", "optimizer.eps"},
    {"grad_clip", "optimizer.clip_norm"}, {"clip", "optimizer.clip_norm"}, {"clip_grad", "optimizer.clip_norm"},
    {"max_grad_norm", "optimizer.clip_norm"}, {"gradient_clip_val", "optimizer.clip_norm"},
    {"bs", "train.batch"}, {"batch_size", "train.batch"}, {"batchsize", "train.batch"}, {"global_batch", "train.batch"},
    {"global_batch_size", "train.batch"}, {"minibatch", "train.batch"},
    {"accumulate", "train.micro_batches"}, {"grad_accum", "train.micro_batches"}, {"accum_iter", "train.micro_batches"},
    {"gradient_accumulation_steps", "train.micro_batches"}, {"accumulate_grad_batches", "train.micro_batches"},
    {"num_epochs", "train.epochs"}, {"n_epochs", "train.epochs"}, {"max_epochs", "train.epochs"},
    {"epoch", "train.epochs"}, {"steps", "train.max_steps"}, {"max_iter", "train.max_steps"},
    {"iterations", "train.max_steps"}, {"eval_every", "train.validate_every"}, {"val_every", "train.validate_every"},
    {"amp", "train.precision"}, {"dtype", "train.precision"}, {"mixed_precision", "train.precision"},
    {"fp16", "train.precision"}, {"bf16", "train.precision"},
    {"syncbn", "train.sync_bn"}, {"sync_batchnorm", "train.sync_bn"}, {"patience", "train.early_stopping"},
    {"workers", "data.threads"}, {"num_workers", "data.threads"}, {"prefetch_factor", "data.prefetch"},
    {"dataset", "data.source"}, {"data.name", "data.source"}, {"data.type", "data.source"}, {"root", "data.path"},
    {"data_dir", "data.path"}, {"data_path", "data.path"}, {"train_dir", "data.path"},
    {"image_size", "data.height"}, {"img_size", "data.height"}, {"imgsz", "data.height"}, {"resolution", "data.height"},
    {"in_channels", "data.channels"}, {"padding", "augment.pad"}, {"hflip", "augment.flip"},
    {"horizontal_flip", "augment.flip"},
    {"arch", "model.family"}, {"model", "model.family"}, {"model.name", "model.family"}, {"model.type", "model.family"},
    {"layers", "model.depth"}, {"num_layers", "model.depth"},
    {"scheduler", "schedule.policy"}, {"lr_schedule", "schedule.policy"}, {"lr_scheduler", "schedule.policy"},
    {"schedule.name", "schedule.policy"}, {"schedule.type", "schedule.policy"}, {"warmup", "schedule.warmup_epochs"},
    {"warmup_steps", "schedule.warmup_epochs"}, {"lr_steps", "schedule.milestones"}, {"step_size", "schedule.milestones"},
    {"lr_decay", "schedule.gamma"}, {"random_seed", "run.seed"}, {"manual_seed", "run.seed"},
    {"output_dir", "run.directory"}, {"out_dir", "run.directory"}, {"exp_name", "run.name"}, {"experiment", "run.name"},
    {"log_interval", "run.log_every_s"}, {"pretrained", "run.start_from"}, {"init_from", "run.start_from"},
    {"weights", "run.start_from"}, {"save_every", "checkpoint.every_steps"}, {"save_interval", "checkpoint.every_steps"},
    {"gradient_checkpointing", "memory.recompute"}, {"activation_checkpointing", "memory.recompute"},
    {"num_threads", "parallel.threads"}, {"pipeline_parallel", "parallel.stages"},
};

/// What has no key here.
const Words kAnswers = {
    {"betas", kBetas}, {"adam_betas", kBetas},
    {"gpus", kDevices}, {"gpu", kDevices}, {"num_gpus", kDevices}, {"ngpus", kDevices}, {"device", kDevices},
    {"devices", kDevices}, {"cuda", kDevices}, {"accelerator", kDevices},
    {"ranks", kRanks}, {"nodes", kRanks}, {"num_nodes", kRanks}, {"world_size", kRanks}, {"nproc", kRanks},
    {"nproc_per_node", kRanks}, {"processes", kRanks},
    {"num_classes", kClasses}, {"n_classes", kClasses},
};

/// Words of values; each counts where its key has the word that is meant.
const Words kValues = {
    {"fp16", "bf16"}, {"float16", "bf16"}, {"half", "bf16"}, {"mixed", "bf16"}, {"bfloat16", "bf16"}, {"fp32", "f32"},
    {"float32", "f32"}, {"float", "f32"}, {"imagefolder", "folder"}, {"image_folder", "folder"}, {"imagenet", "folder"},
    {"images", "folder"}, {"mnist", "idx"}, {"fashion_mnist", "idx"}, {"hdf5", "packed"}, {"h5", "packed"},
    {"cifar", "cifar10"}, {"segmentation", "masks"}, {"onecycle", "one_cycle"}, {"1cycle", "one_cycle"},
    {"multistep", "step"}, {"adam", "adamw"}, {"momentum", "sgd"}, {"nesterov", "sgd"}, {"cosine_annealing", "cosine"}, {"fixed", "constant"}, {"batchnorm", "batch"},
    {"bn", "batch"}, {"groupnorm", "group"}, {"gn", "group"}, {"layernorm", "layer"}, {"leakyrelu", "leaky_relu"},
    {"wide_resnet", "wide"}, {"wideresnet", "wide"}, {"wrn", "wide"}, {"vit", "transformer"},
};
// clang-format on

/// Of the whole name, or of what follows the section.
std::string find_meaning(const Words& words, std::string_view name) {
  for (const std::string_view part : {name, name.substr(name.find('.') + 1)})
    if (const auto found = words.find(part); found != words.end())
      return std::string(found->second);
  return "";
}

}  // namespace

std::string meant_key(std::string_view name) { return find_meaning(kKeys, name); }

std::vector<std::string> keys_with_synonyms() {
  std::vector<std::string> keys;
  for (const auto& [name, key] : kKeys) keys.emplace_back(key);
  return keys;
}

std::string answer_to(std::string_view name) { return find_meaning(kAnswers, name); }

std::string meant_value(const JobKey& key, std::string_view value) {
  const auto has = [&](const std::string& word) {
    return std::ranges::find(key.words, word) != key.words.end();
  };
  const auto quoted = [](const std::string& word) { return "'" + word + "'"; };
  std::string text;
  for (const char c : value)
    text += c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (has(text)) return quoted(text);
  if (const std::string meant = find_meaning(kValues, text); has(meant)) return quoted(meant);
  const auto digits = text.find_last_not_of("0123456789") + 1;
  const std::string name =
      text.substr(0, digits > 0 && text[digits - 1] == '_' ? digits - 1 : digits);
  if (key.name == "model.family" && has(name) && digits < text.size())
    return quoted(name) + " with model.depth = " + text.substr(digits);
  const std::string nearest = nearest_word(text, key.words);
  const bool near =
      !nearest.empty() && 2 * edit_distance(text, nearest) <= static_cast<int>(text.size());
  return near ? quoted(nearest) : "";
}

}  // namespace lockstep
