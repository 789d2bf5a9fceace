#include "jobs/job_key.h"

#include <algorithm>
#include <utility>

#include "data/dataset.h"
#include "data/spelling.h"
#include "jobs/job_key_kinds.h"
#include "jobs/job_synonyms.h"

namespace lockstep {
namespace {

bool is_file_name(const std::string& text) {
  return !text.empty() && text != "." && text != ".." && text.find('/') == std::string::npos;
}

std::vector<JobKey> run_keys() {
  return {
      text(FIELD(run.name), "a file name without '/'", is_file_name,
           "The run's directory is DIRECTORY/NAME."),
      path(
          FIELD(run.directory), "a directory",
          [](const std::string& value) { return !value.empty(); },
          "Where run directories live; made if it is missing."),
      number(FIELD(run.seed), at_least(0),
             "Of initial weights, order of samples, augmentation and dropout."),
      flag(FIELD(run.resume), "Go on from the run's newest good checkpoint, if there is one."),
      path(
          FIELD(run.start_from), "a directory", [](const std::string&) { return true; },
          "A new run begins with the weights and running statistics of this checkpoint, of the "
          "same model: RUN "
          "(its newest good one), RUN:best, RUN:STEP, or a checkpoint's directory. Empty: from the "
          "seed."),
      number(FIELD(run.log_every_s), above(0),
             "Seconds between lines of progress where output is not a terminal."),
  };
}

std::vector<JobKey> data_keys() {
  return {
      word(FIELD(data.source),
           {"idx", "cifar10", "cifar100", "folder", "masks", "packed", "synthetic",
            "synthetic_masks"},
           "Format of the data set. folder: one folder of JPEG or PNG files per class. masks: "
           "pictures with a PNG of classes for each, for family = unet."),
      path(
          FIELD(data.path), "a path", [](const std::string&) { return true; },
          "Folder of its files, or the packed file; relative to the current directory. ~ and "
          "$VARIABLES are expanded, as in "
          "all paths."),
      word(FIELD(data.distribute), {"shared", "scatter"},
           "shared: every rank reads its part; scatter: rank 0 reads and sends."),
      number(FIELD(data.threads), at_least(1), "Threads a rank that decode and augment."),
      number(FIELD(data.prefetch), at_least(1), "Batches kept ahead of the step."),
      number(FIELD(data.train_samples), at_least(0), "Use only the first so many; 0: all."),
      number(FIELD(data.val_samples), at_least(0), "Likewise, for validation."),
      number(FIELD(data.classes), between(0, 255),
             "masks: classes; 0: as many as there are in the training masks, which takes reading "
             "them."),
      number(FIELD(data.ignore_label), between(-1, 255),
             "masks: the value of pixels that belong to no class; -1: there are none."),
      number(FIELD(data.max_class_share), above_zero_to(1),
             "data check and train warn of a class that has more than this part of the samples."),
      number(
          FIELD(data.max_class_ratio), at_least(1),
          "Likewise, of one that has more than so many times the samples of the smallest class."),
      number(FIELD(data.synthetic_samples), at_least(1), "synthetic: samples of each split."),
      number(FIELD(data.synthetic_classes), at_least(2), "synthetic: classes."),
      number(FIELD(data.channels), between(0, kMaxChannels),
             "Of the network's input; 0: as the data set's (raw pixels may have any number: idx, "
             "packed, synthetic), and 3 "
             "for picture files (1 makes them grey)."),
      number(FIELD(data.height), at_least(0), "Likewise, in pixels."),
      number(FIELD(data.width), at_least(0), "Likewise, in pixels."),
      word(FIELD(data.on_changed), {"stop", "warn"},
           "When a run resumes on other data than its checkpoint was trained on (samples, classes, "
           "labels, content). stop: "
           "refuse; warn: go on."),
  };
}

std::vector<JobKey> augment_keys() {
  return {
      number(FIELD(augment.pad), at_least(0),
             "Pixels added on each side before a random crop (CIFAR: 4); 0: no crop."),
      flag(FIELD(augment.flip), "Mirror every second picture, left to right."),
      number(FIELD(augment.cutout), at_least(0), "Side of the square cut out, in pixels; 0: none."),
      flag(FIELD(augment.random_resized_crop), "Train on random crops, scaled to height x width."),
      number(FIELD(augment.min_scale), above_zero_to(1), "Smallest such crop: part of the area."),
      number(FIELD(augment.resize), at_least(0),
             "Validation: scale the shorter side to it, then crop the centre; 0: do not."),
      numbers(FIELD(augment.mean), between(0, 1),
              "Per channel, of pixels from 0 to 1; empty: those of the source."),
      numbers(FIELD(augment.std), above(0), "Likewise, the standard deviation."),
  };
}

std::vector<JobKey> train_keys() {
  return {
      number(FIELD(train.epochs), above(0), "How long; may be a fraction."),
      number(FIELD(train.max_steps), at_least(0), "Stop after so many steps; 0: epochs decide."),
      number(FIELD(train.batch), at_least(1), "Images of a step, all ranks together."),
      number(FIELD(train.micro_batches), at_least(1),
             "Gradient accumulation: each rank's part of the batch in so many pieces."),
      flag(FIELD(train.sync_bn), "Batch norm over all ranks' images, not each rank's own."),
      word(FIELD(train.precision), {"auto", "f32", "bf16"},
           "bf16: activations, their gradients and the convolutions' inputs and weights as "
           "bfloat16: "
           "half the memory, and less time where 1x1 convolutions are many. Master weights, weight "
           "gradients, statistics, classifier and loss stay f32, and so do checkpoints. bfloat16 "
           "has "
           "the range of f32: there is no loss scaling, and none is needed. Needs avx512_bf16. "
           "auto: bf16 with AMX (not measured yet), else f32."),
      flag(FIELD(train.winograd),
           "3x3 convolutions of stride 1 by Winograd's F(4x4, 3x3): in a third to a half of the "
           "time, "
           "at about five times the rounding error; f32 only. Off: oneDNN's direct kernels."),
      number(FIELD(train.validate_every), at_least(0), "Epochs between validations; 0: never."),
      number(FIELD(train.early_stopping), at_least(0),
             "Stop after so many validations without improvement; 0: off."),
      number(FIELD(train.hash_every), at_least(0),
             "Steps between checks that all ranks hold the same parameters; 0: never."),
  };
}

std::vector<JobKey> optimizer_keys() {
  return {
      enum_word(
          FIELD(optimizer.name), kOptimizerWords,
          "sgd: with momentum. adamw: Adam with decoupled weight decay (Loshchilov, Hutter 2019); "
          "it keeps two numbers for every parameter where sgd keeps one."),
      number(FIELD(optimizer.learning_rate), above(0),
             "Of sgd usually about 0.1, of adamw 0.001; see [schedule]."),
      of(OptimizerKind::kSgd,
         number(FIELD(optimizer.momentum), from_zero_below(1), "sgd: momentum.")),
      of(OptimizerKind::kSgd, flag(FIELD(optimizer.nesterov), "sgd: Nesterov's form of it.")),
      of(OptimizerKind::kAdamW, number(FIELD(optimizer.beta1), from_zero_below(1),
                                       "adamw: what the average of gradients keeps in each step.")),
      of(OptimizerKind::kAdamW,
         number(FIELD(optimizer.beta2), from_zero_below(1), "adamw: likewise, of their squares.")),
      of(OptimizerKind::kAdamW,
         number(FIELD(optimizer.eps), above(0), "adamw: added to the root of that average.")),
      number(
          FIELD(optimizer.weight_decay), at_least(0),
          "Of conv and linear weights only. sgd: added to the gradient; adamw: the weight itself "
          "shrinks by learning_rate * weight_decay in each step (0.01 to 0.1 is usual)."),
      number(FIELD(optimizer.clip_norm), at_least(0), "Largest norm of the gradient; 0: off."),
      number(FIELD(optimizer.reference_batch), at_least(0),
             "Linear scaling: the rate is for this batch, and is scaled to train.batch; 0: off."),
  };
}

std::vector<JobKey> schedule_keys() {
  return {
      word(FIELD(schedule.policy), {"step", "cosine", "one_cycle", "plateau", "constant"},
           "How the learning rate changes. plateau: it falls by gamma where validations do not "
           "improve."),
      number(FIELD(schedule.warmup_epochs), at_least(0), "Epochs of linear growth at the start."),
      number(FIELD(schedule.warmup_start), between(0, 1),
             "Where it starts, as a part of the rate."),
      numbers(FIELD(schedule.milestones), above(0),
              "step: epochs at which the rate is multiplied."),
      number(FIELD(schedule.gamma), above(0), "step, plateau: by what."),
      number(FIELD(schedule.final_fraction), between(0, 1),
             "cosine, one_cycle: the last rate, as a part of the rate; plateau: the lowest."),
      number(FIELD(schedule.peak_fraction), {0, false, 1, false},
             "one_cycle: where the peak lies, as a part of the training."),
      number(FIELD(schedule.epochs), at_least(0),
             "cosine, one_cycle: length of the curve in epochs, after which its last rate is kept; "
             "0: train.epochs."),
      word(FIELD(schedule.plateau_metric), {"loss", "accuracy"},
           "plateau: what of a validation has to improve. accuracy: the mean IoU where every pixel "
           "has a class."),
      number(FIELD(schedule.patience), at_least(1),
             "plateau: the rate falls after so many validations without improvement since the "
             "best, or since it fell."),
      number(FIELD(schedule.threshold), {0, true, 1, false},
             "plateau: it is no improvement where less than this part of the best."),
  };
}

bool is_pipeline_schedule(const std::string& text) {
  constexpr std::string_view kInterleaved = "interleaved:";
  int chunks = 0;
  return text == "gpipe" || text == "1f1b" || text == "zero-bubble" ||
         (text.starts_with(kInterleaved) && read_value(text.substr(kInterleaved.size()), chunks) &&
          chunks >= 2);
}

std::vector<JobKey> parallel_keys() {
  return {
      number(FIELD(parallel.threads), at_least(0),
             "Threads a rank that compute; 0: the cores that the rank may use."),
      word(FIELD(parallel.coordinator), {"worker", "dedicated"},
           "worker: rank 0 trains too; dedicated: it only coordinates."),
      word(FIELD(parallel.all_reduce), {"auto", "ring", "mpi"},
           "Shared memory inside a node, messages only, or MPI_Allreduce."),
      path(
          FIELD(parallel.all_reduce_table), "a path", [](const std::string&) { return true; },
          "auto: takes what lockstep bench allreduce --table FILE found the fastest."),
      word(FIELD(parallel.wire), {"f32", "bf16"},
           "What messages carry gradients as, between nodes and with all_reduce = ring; sums are "
           "f32. "
           "bf16: half the bytes, rounded at each hop."),
      number(FIELD(parallel.bucket_kib), at_least(1), "Gradients that are reduced together."),
      number(FIELD(parallel.stages), at_least(1),
             "Ranks that share one replica of the model; there are workers / stages replicas. "
             "Batch norm "
             "takes its statistics of each micro-batch, over the replicas."),
      text(FIELD(parallel.schedule), "gpipe, 1f1b, zero-bubble, or interleaved:V with V at least 2",
           is_pipeline_schedule,
           "Order of the stages' micro-batches (train.micro_batches). interleaved:V: V chunks of "
           "the "
           "model a stage. zero-bubble: weight gradients fill the gaps."),
      flag(
          FIELD(parallel.fold),
          "Two chunks a stage, so that a U-Net's encoder lies with its decoder and long skips stay "
          "on a rank."),
      texts(
          FIELD(parallel.cuts), "names of blocks with commas between them",
          "Blocks at which chunks begin, besides the first (lockstep plan shows names); empty: the "
          "slowest stage takes the least time."),
      word(FIELD(parallel.on_rank_lost), {"stop", "shrink"},
           "When a rank dies. stop: the training ends, lockstep launch starts it again. shrink: "
           "the others go on "
           "without it; with Open MPI 5 and lockstep launch, or mpirun --with-ft ulfm."),
      number(FIELD(parallel.spares), at_least(0),
             "Of the ranks that are started: the last so many only wait, and take the places of "
             "lost ones."),
      flag(FIELD(parallel.probe),
           "Measure the model's ops for that, a second or two; off: reckon by FLOPs and bytes."),
  };
}

bool is_recompute(const std::string& text) {
  constexpr std::string_view kEvery = "every:";
  int blocks = 0;
  return text == "none" || text == "sqrt" || text == "auto" ||
         (text.starts_with(kEvery) && read_value(text.substr(kEvery.size()), blocks) &&
          blocks >= 1);
}

std::vector<JobKey> memory_keys() {
  return {
      text(FIELD(memory.recompute), "none, every:K with K at least 1, sqrt or auto", is_recompute,
           "Forget activations and compute them again in backward: between every K-th block, or "
           "what suits the budget best."),
      number(FIELD(memory.budget_mib), at_least(0),
             "Most memory of a rank; a job that needs more is refused. 0: the ranks of a machine "
             "must fit together into "
             "what it, or the job's control group, has, less a tenth, or 64 MiB a rank if that is "
             "more; recompute = auto "
             "takes a rank's share of that."),
      word(FIELD(memory.on_overcommit), {"stop", "warn"},
           "They do not fit, by the plan and without budget_mib. stop: train and plan refuse the "
           "job. warn: it goes on, and "
           "may be killed."),
  };
}

std::vector<JobKey> checkpoint_keys() {
  return {
      number(FIELD(checkpoint.every_steps), at_least(0),
             "Steps between checkpoints; 0: one at the end of every epoch."),
      number(FIELD(checkpoint.every_minutes), at_least(0),
             "One more where the last was made so many minutes ago; 0: off."),
      number(FIELD(checkpoint.mean_time_to_failure_s), at_least(0),
             "Of the whole job: checkpoints as often as loses the least time, by what a save costs "
             "(Young, "
             "Daly), instead of every_steps and every_minutes. 0: off."),
      number(FIELD(checkpoint.keep), at_least(1), "Newest ones kept; the best is kept besides."),
      word(FIELD(checkpoint.on_changed), {"stop", "warn"},
           "When the job says of the model or the input something else than the checkpoint that is "
           "loaded (train, "
           "run.start_from, eval). stop: refuse; warn: what the job says counts. What it does not "
           "say is the checkpoint's. Likewise where a run resumes with another optimizer.name; "
           "with warn what that keeps begins at zero."),
  };
}

std::vector<JobKey> watchdog_keys() {
  return {
      flag(FIELD(watchdog.enabled),
           "End training that hangs, and say which rank and what is to blame."),
      number(FIELD(watchdog.network_s), at_least(0),
             "Of the first messages, between all ranks: an address that leads nowhere ends the job "
             "with 76 and both hosts' names. 0: "
             "they are not sent."),
      number(FIELD(watchdog.start_s), above(0), "Seconds until the first step."),
      number(FIELD(watchdog.step_s), at_least(0),
             "Of a step; 0: 20 times the longest lately, at least 60."),
      number(FIELD(watchdog.collective_s), at_least(0),
             "Of waiting for other ranks during a step; 0: as for the step."),
      number(FIELD(watchdog.checkpoint_s), above(0), "Of waiting for a save."),
  };
}

std::vector<JobKey> health_keys() {
  const std::vector<std::string> step{"stop", "rollback", "skip", "ignore"};
  const std::vector<std::string> spike{"stop", "rollback", "skip", "warn", "ignore"};
  const std::vector<std::string> layer{"stop", "warn", "ignore"};
  return {
      word(FIELD(health.on_nan), step,
           "Loss or gradient are not numbers. stop: end with 77. rollback: to the newest good "
           "checkpoint, or to the "
           "beginning where there is none. skip: parameters, momentum and statistics stay as "
           "before the step."),
      word(FIELD(health.on_spike), spike,
           "Likewise, of a gradient's norm that explodes, from the second step on. One that is not "
           "finite is a spike, "
           "too: stop, rollback and skip hold for it, whatever on_nan says."),
      number(FIELD(health.spike_factor), above(1),
             "It does above so many times the median of the last 64 steps. After n steps, fewer "
             "than 16, it is "
             "spike_factor to the power of sqrt(1 + pi / 2n): 40 times at the second step instead "
             "of 10."),
      number(FIELD(health.most_rollbacks), at_least(0),
             "Roll-backs because of the same step; then stop."),
      number(FIELD(health.most_skips), at_least(0),
             "Steps skipped one after the other; then stop."),
      number(FIELD(health.every_steps), at_least(0),
             "Steps between looks at all layers; 0: never."),
      word(FIELD(health.on_vanishing), layer, "A layer's gradient vanishes."),
      number(FIELD(health.vanishing_ratio), above(0),
             "It does where gradient / weights is below so much of the median layer's."),
      word(FIELD(health.on_dead), layer, "Channels pass no gradient on, in two looks: dead ReLUs."),
      number(FIELD(health.dead_fraction), between(0, 1), "Part of a layer's channels that may."),
      word(FIELD(health.on_stale_bn), layer,
           "Batch norm's running statistics are far from the batch's."),
      number(FIELD(health.stale_distance), above(0),
             "Beyond so many standard deviations, or factors of 4 of the variance."),
      word(FIELD(health.on_straggler), {"warn", "ignore"},
           "The other ranks wait for the same one in three looks: it is named."),
      number(FIELD(health.straggler_share), above_zero_to(1), "Part of the time that they do."),
  };
}

std::string_view leaf(std::string_view name) { return name.substr(name.find('.') + 1); }

}  // namespace

const std::vector<JobKey>& job_keys() {
  static const std::vector<JobKey> keys = [] {
    std::vector<JobKey> all;
    for (auto section :
         {run_keys, data_keys, augment_keys, model_keys, train_keys, optimizer_keys, schedule_keys,
          parallel_keys, memory_keys, checkpoint_keys, watchdog_keys, health_keys}) {
      for (JobKey& key : section()) all.push_back(std::move(key));
    }
    return all;
  }();
  return keys;
}

const JobKey* find_job_key(std::string_view name) {
  for (const JobKey& key : job_keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string nearest_job_key(std::string_view name) {
  if (const std::string meant = meant_key(name); !meant.empty()) return meant;
  const bool bare = name.find('.') == std::string_view::npos;  // without its section
  std::vector<std::string> names;
  for (const JobKey& key : job_keys()) {
    if (leaf(key.name) == leaf(name)) return key.name;  // right key, wrong section
    names.emplace_back(bare ? leaf(key.name) : key.name);
  }
  const std::string nearest = nearest_word(name, names);
  return job_keys()[static_cast<std::size_t>(std::ranges::find(names, nearest) - names.begin())]
      .name;
}

}  // namespace lockstep
