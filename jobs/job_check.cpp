#include "jobs/job_check.h"

#include <algorithm>

#include "data/error.h"
#include "jobs/job_key.h"

namespace lockstep {

void check_job(const Job& job, const std::function<std::string(const std::string& key)>& where) {
  const auto require = [&](bool holds, const std::string& key, const std::string& complaint) {
    if (holds) return;
    throw ConfigError(where(key) + ": " + key + " = '" + find_job_key(key)->get(job) +
                      "': " + complaint);
  };
  const auto& [run, data, augment, model, train, optimizer, schedule, parallel, memory, checkpoint,
               watchdog, health] = job;

  require(data.source.starts_with("synthetic") || !data.path.empty(), "data.path",
          "data.source = " + data.source + " needs the path of its files");
  require((data.height == 0) == (data.width == 0), data.height == 0 ? "data.width" : "data.height",
          "give both data.height and data.width, or neither");
  require(!augment.random_resized_crop || data.height > 0, "augment.random_resized_crop",
          "needs the size of the network's input: set data.height and data.width");
  require(augment.resize == 0 || augment.resize >= std::min(data.height, data.width),
          "augment.resize", "must not be smaller than the network's input");
  require(augment.mean.size() == augment.std.size(),
          augment.mean.empty() ? "augment.std" : "augment.mean",
          "augment.mean and augment.std go together: give both, with as many values");

  const bool custom = model.family == "custom";
  require(!custom || !model.counts.empty(), "model.counts",
          "model.family = custom needs the number of blocks of every group");
  require(!custom || model.counts.size() == model.widths.size(), "model.widths",
          "give one width for each of the " + std::to_string(model.counts.size()) + " groups");
  const std::vector<std::string> by_depth{"resnet", "preact", "wide", "resnext", "densenet"};
  const bool has_depth = std::ranges::find(by_depth, model.family) != by_depth.end();
  const std::string nothing = "means nothing to model.family = " + model.family;
  require(!(has_depth || model.family == "unet") || model.counts.empty(), "model.counts", nothing);
  require(!has_depth || model.widths.empty(), "model.widths", nothing);
  const bool masks = data.source == "masks";
  require(masks || data.classes == 0, "data.classes", "only with data.source = masks");
  require(masks || data.ignore_label == -1, "data.ignore_label", "only with data.source = masks");

  require(parallel.all_reduce == "auto" || parallel.all_reduce_table.empty(),
          "parallel.all_reduce_table", "only with parallel.all_reduce = auto");
  require(parallel.wire == "f32" || parallel.all_reduce != "mpi", "parallel.wire",
          "parallel.all_reduce = mpi sends f32; set it to auto or ring");

  require(!parallel.fold || !parallel.schedule.starts_with("interleaved"), "parallel.fold",
          "gives every stage two chunks already; use it with parallel.schedule = gpipe, 1f1b or "
          "zero-bubble");
  require(parallel.spares == 0 || parallel.on_rank_lost == "shrink", "parallel.spares",
          "spares wait for a rank to be lost: set parallel.on_rank_lost to shrink");
  require(parallel.cuts.empty() || parallel.stages > 1, "parallel.cuts",
          "only with parallel.stages above 1");
  require(!parallel.fold || parallel.stages > 1, "parallel.fold",
          "only with parallel.stages above 1");
  require(train.micro_batches <= train.batch, "train.micro_batches",
          "more pieces than train.batch = " + std::to_string(train.batch) + " has images");
  require(train.early_stopping == 0 || train.validate_every > 0, "train.early_stopping",
          "needs validations: set train.validate_every to 1 or more");
  require(!optimizer.nesterov || optimizer.momentum > 0, "optimizer.nesterov",
          "needs optimizer.momentum above 0");
  require(schedule.warmup_epochs < train.epochs, "schedule.warmup_epochs",
          "must end before the training does, at train.epochs");
  require(schedule.epochs == 0 || schedule.policy == "cosine" || schedule.policy == "one_cycle",
          "schedule.epochs",
          "only with schedule.policy = cosine or one_cycle; here it is " + schedule.policy);
  require(schedule.epochs == 0 || schedule.warmup_epochs < schedule.epochs, "schedule.epochs",
          "must be longer than schedule.warmup_epochs");
  const bool plateau = schedule.policy == "plateau";
  const std::string no_plateau =
      "only with schedule.policy = plateau; here it is " + schedule.policy;
  require(plateau || schedule.plateau_metric == ScheduleOptions{}.plateau_metric,
          "schedule.plateau_metric", no_plateau);
  require(plateau || schedule.patience == ScheduleOptions{}.patience, "schedule.patience",
          no_plateau);
  require(plateau || schedule.threshold == ScheduleOptions{}.threshold, "schedule.threshold",
          no_plateau);
  require(!plateau || schedule.gamma < 1, "schedule.gamma",
          "with schedule.policy = plateau the rate falls: below 1");
  require(!plateau || train.validate_every > 0, "schedule.policy",
          "needs validations: set train.validate_every to 1 or more");
  require(std::is_sorted(schedule.milestones.begin(), schedule.milestones.end()),
          "schedule.milestones", "must be in ascending order");
  require(checkpoint.mean_time_to_failure_s == 0 || checkpoint.every_steps == 0,
          "checkpoint.mean_time_to_failure_s",
          "decides how often; leave out checkpoint.every_steps");
  require(
      health.on_spike == "warn" || health.on_spike == "ignore" || health.on_nan != "ignore",
      "health.on_nan",
      "with health.on_spike = " + health.on_spike + " what is not a number counts as a spike, too");
  require(schedule.policy == "step" || schedule.milestones.empty(), "schedule.milestones",
          "only with schedule.policy = step; here it is " + schedule.policy);
}

void check_said_keys(const Job& job, const std::map<std::string, std::string>& places) {
  for (const auto& [name, place] : places) {
    const JobKey& key = *find_job_key(name);
    if (key.counts_in(job)) continue;
    throw ConfigError(place + ": " + name + " = '" + key.get(job) +
                      "': only with optimizer.name = " + optimizer_word(*key.of_optimizer) +
                      "; here it is " + optimizer_word(job.optimizer.name) +
                      ". Leave it out, or set optimizer.name");
  }
}

}  // namespace lockstep
