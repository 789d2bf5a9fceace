// lockstep eval: loss and accuracy of a checkpoint, alone or on all ranks that a launcher started.
#include <spdlog/spdlog.h>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "coordinator/checkpoint_choice.h"
#include "coordinator/data_record.h"
#include "coordinator/evaluation.h"
#include "coordinator/health/watchdog.h"
#include "coordinator/input_facts.h"
#include "coordinator/rank_cpus.h"
#include "coordinator/saver.h"
#include "data/error.h"
#include "data/order.h"
#include "jobs/checkpoint_job.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/job_file.h"
#include "layers/layout.h"
#include "worker/comm/mpi.h"
#include "worker/comm/network_check.h"
#include "worker/comm/preflight.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

struct EvalRequest {
  std::string checkpoint;     // best | STEP | DIR; empty: the run's newest good one
  std::string split = "val";  // val | train
  int reestimate = 0;         // batches
  std::string save;           // run directory for the re-estimated statistics; empty: not saved
  bool json = false;
};

/// What was evaluated, on rank 0.
struct Evaluated {
  std::string checkpoint;
  ValidationMetrics metrics;
  int reestimated = 0;  // batches
  TrainingState state;  // of the checkpoint
};

/// Opens the checkpoint on rank 0 and makes the job fit it, on all ranks. Returns its details on all of them.
std::string open_and_fit(SaidJob& said, const EvalRequest& request,
                         std::optional<Checkpoint>& checkpoint, const Communicator& world) {
  std::string name, details;
  if (world.rank() == 0) {
    checkpoint.emplace(open_checkpoint(parse_checkpoint_choice(request.checkpoint),
                                       fs::path(said.job.run.directory) / said.job.run.name));
    name = checkpoint->directory().string();
    details = checkpoint->state().details;
  }
  world.broadcast(name, 0, "checkpoint");
  world.broadcast(details, 0, "checkpoint");
  const JobFit fit = fit_to_checkpoint(said, name, details, CheckpointUse::kEvaluate);
  if (world.rank() == 0) tell(fit);
  return details;
}

/// What a label means must be what it meant to the training.
void check_classes(const Job& job, const JobData& data, const std::string& details,
                   const Communicator& world) {
  const std::string change = class_change(input_facts_of(details), data.classes, data.class_names);
  if (change.empty()) return;
  if (job.checkpoint.on_changed == "stop")
    throw DataError(data.train_set().info().path + ": " + change +
                    ". Evaluate on data with the classes that it was trained on, in their "
                    "order; or set checkpoint.on_changed = warn");
  if (world.rank() == 0) spdlog::warn("{}", change);
}

/// Gives every rank the parameters and statistics; says which checkpoint it was.
Evaluated load(const std::optional<Checkpoint>& checkpoint, ModelState& state,
               const Communicator& world) {
  Evaluated result;
  if (checkpoint) {
    const TrainingState where = load_checkpoint(*checkpoint, state);
    result.checkpoint = checkpoint->directory().string();
    result.metrics.step = where.step;
    result.metrics.epoch = where.epoch;
    result.state = where;
  }
  world.broadcast(std::as_writable_bytes(state.parameters()), 0, "parameters");
  world.broadcast(std::as_writable_bytes(state.statistics()), 0, "statistics");
  return result;
}

/// With distribute = scatter: sends every rank its parts of the batches.
void scatter(SampleScatter* scatter, const EpochOrder& order, const std::vector<Positions>& batches,
             int ranks) {
  if (!scatter) return;
  std::vector<std::vector<std::int64_t>> wanted(static_cast<std::size_t>(ranks));
  for (const Positions& batch : batches) {
    for (int r = 0; r < ranks; ++r) {
      const Positions part = part_of(batch, r, ranks);
      const auto more = order.samples(part.begin, part.end);
      auto& of_rank = wanted[static_cast<std::size_t>(r)];
      of_rank.insert(of_rank.end(), more.begin(), more.end());
    }
  }
  scatter->send(wanted);
}

/// Validation data may be others than those that the training validated with, but not unnoticed.
void tell_of_other_data(const JobData& data, const EvalRequest& request,
                        const std::string& details) {
  const std::string before = data_record_of(details);
  if (before.empty())
    return spdlog::warn(
        "the checkpoint does not tell what data it was trained on: they are not compared");
  const auto tell = [&](const Dataset& split) {
    for (const std::string& change : split_changes(before, split))
      spdlog::warn("other data than in training: {}", change);
  };
  if (request.split == "val") tell(data.val_set());
  if (request.split == "train" || request.reestimate > 0) tell(data.train_set());
}

void check_reestimation(const EvalRequest& request, const Job& job) {
  if (request.reestimate > 0 && job.model.norm != "auto" && job.model.norm != "batch")
    throw ConfigError("lockstep eval: --reestimate-bn needs model.norm = batch; here it is " +
                      job.model.norm);
}

/// Refuses a target of --save that exists: publishing would replace it.
void check_target(const fs::path& directory, std::int64_t step) {
  if (fs::exists(directory / "checkpoints" / checkpoint_name(step)))
    throw ConfigError("lockstep eval: --save " + directory.string() +
                      ": there is a checkpoint of step " + std::to_string(step) +
                      " already; give another directory");
}

/// Saves the checkpoint with this state's statistics as the one of a run in `directory`.
void save(const fs::path& directory, const TrainingState& where, ModelState& state) {
  check_target(directory, where.step);  // again: it may have been made during the work
  const fs::path checkpoints = directory / "checkpoints";
  const fs::path temporary = temporary_checkpoint_directory(checkpoints, where.step);
  const std::string report = write_shard(temporary, 0, checkpoint_tensors(state));
  spdlog::info("saved {}", publish_checkpoint(checkpoints, where, {&report, 1}).string());
}

Evaluated evaluate_checkpoint(SaidJob said, const EvalRequest& request, const Communicator& world) {
  agree_on_instruction_set(world);
  std::optional<Checkpoint> checkpoint;  // rank 0
  const std::string details = open_and_fit(said, request, checkpoint, world);
  // opens the validation data, or not
  said.job.train.validate_every = request.split == "val" ? 1 : 0;
  const Job& job = said.job;
  check_reestimation(request, job);
  if (checkpoint && !request.save.empty()) check_target(request.save, checkpoint->state().step);
  JobData data = open_job_data(job, world);
  check_classes(job, data, details, world);
  if (world.rank() == 0) tell_of_other_data(data, request, details);
  Graph graph = build_model(job.model, data.input, data.classes);
  RankOptions options =
      rank_options(job, graph, world.size(), lanes_of_rank(job.parallel.threads, world));
  options.memory = {};  // the budget is of training: nothing is kept for a backward pass here
  options.plan.sync_bn = true;  // re-estimated statistics are those of all ranks
  data.augment.planar = planar_input(options.plan.layout);
  Engine engine(plan_rank(std::move(graph), options), world);
  Evaluated result = load(checkpoint, engine.state(), world);
  checkpoint.reset();
  if (request.reestimate > 0) {
    const auto batches =
        reestimation_batches(engine, data.train_samples, request.reestimate, world.size());
    scatter(data.train_scatter.get(), EpochOrder(data.train_samples, job.run.seed, 0), batches,
            world.size());
    reestimate_statistics(engine, data.train_set(), data.train_samples, data.augment,
                          job.data.threads, request.reestimate, job.run.seed, world);
    result.reestimated = static_cast<int>(batches.size());
    if (!request.save.empty() && world.rank() == 0)
      save(request.save, result.state, engine.state());
  }
  const bool val = request.split == "val";
  const std::int64_t samples = val ? data.val_samples : data.train_samples;
  scatter(val ? data.val_scatter.get() : data.train_scatter.get(), EpochOrder::identity(samples),
          {{0, samples}}, world.size());
  if (request.reestimate == 0 && job.data.distribute != "scatter") {
    const std::string stale = stale_statistics(engine, val ? data.val_set() : data.train_set(),
                                               samples, data.augment, job.data.threads, world);
    if (!stale.empty() && world.rank() == 0) spdlog::warn("{}", stale);
  }
  const ValidationMetrics metrics = evaluate(engine, val ? &data.val_set() : &data.train_set(),
                                             samples, data.augment, job.data.threads, world);
  const std::int64_t step = result.metrics.step, epoch = result.metrics.epoch;
  result.metrics = metrics;
  result.metrics.step = step;
  result.metrics.epoch = epoch;
  return result;
}

void print_line(const Evaluated& e, const EvalRequest& request) {
  char text[160];
  if (e.metrics.mean_iou)
    std::snprintf(text, sizeof text, "loss %.4f, mean IoU %.2f%%, pixel accuracy %.2f%%",
                  e.metrics.loss, 100 * *e.metrics.mean_iou, 100 * e.metrics.accuracy);
  else
    std::snprintf(text, sizeof text, "loss %.4f, top-1 %.2f%%, top-5 %.2f%%", e.metrics.loss,
                  100 * e.metrics.accuracy, 100 * e.metrics.top5);
  std::cout << request.split << " " << text << " of " << e.metrics.samples << " samples, step "
            << e.metrics.step;
  if (e.reestimated > 0) std::cout << ", statistics of " << e.reestimated << " batches";
  std::cout << " (" << e.checkpoint << ")\n";
}

void print_json(const Evaluated& e, const EvalRequest& request) {
  nlohmann::ordered_json json;
  json["checkpoint"] = e.checkpoint;
  json["step"] = e.metrics.step;
  json["epoch"] = e.metrics.epoch;
  json["split"] = request.split;
  json["samples"] = e.metrics.samples;
  if (std::isfinite(e.metrics.loss))
    json["loss"] = e.metrics.loss;
  else
    json["loss"] = nullptr;  // diverged
  if (e.metrics.mean_iou) {
    json["mean_iou"] = *e.metrics.mean_iou;
    json["pixel_accuracy"] = e.metrics.accuracy;
  } else {
    json["top1"] = e.metrics.accuracy;
    json["top5"] = e.metrics.top5;
  }
  json["reestimated_batches"] = e.reestimated;
  std::cout << json.dump() << "\n";
}

CommandSyntax eval_syntax(EvalRequest& request) {
  CommandSyntax syntax{.usage = "eval JOB.cfg [OPTIONS]",
                       .about =
                           "Evaluates a checkpoint of a job's run: loss, top-1 and top-5, or mean "
                           "IoU and pixel accuracy. "
                           "Start it alone, or under\nlockstep launch, mpirun or srun."};
  add_job_options(syntax);
  syntax.options.add_options()(
      "checkpoint", po::value<std::string>(&request.checkpoint)->value_name("best|STEP|DIR"),
      "The best by validation, the one of a step, or a directory: a checkpoint, or a "
      "run (also RUN:best, RUN:STEP). Default: the newest good one of the job's run.")(
      "split", po::value<std::string>(&request.split)->value_name("val|train"),
      "What to evaluate on, without augmentation. Default: val.")(
      "reestimate-bn", po::value<int>(&request.reestimate)->value_name("BATCHES"),
      "Take batch norm's statistics from so many batches of training data, for this evaluation.")(
      "save", po::value<std::string>(&request.save)->value_name("DIR"),
      "reestimate-bn: keep the checkpoint with these statistics in DIR/checkpoints, for "
      "--checkpoint DIR or "
      "run.start_from = DIR.")("json", po::bool_switch(&request.json),
                               "Print the result as a JSON object.");
  return syntax;
}

void check_request(const EvalRequest& request, bool reestimates, const Job& job) {
  if (request.split != "val" && request.split != "train")
    throw ConfigError("lockstep eval: --split " + request.split + ": use val or train");
  if (!reestimates && !request.save.empty())
    throw ConfigError(
        "lockstep eval: --save keeps re-estimated statistics; add --reestimate-bn BATCHES");
  if (!reestimates) return;
  if (request.reestimate < 1)
    throw ConfigError("lockstep eval: --reestimate-bn must be at least 1");
  check_reestimation(request, job);
}

}  // namespace

int run_eval(std::span<const std::string> arguments) {
  EvalRequest request;
  const CommandSyntax syntax = eval_syntax(request);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  const auto job_file = job_arguments(*values);
  if (!job_file) return 0;
  SaidJob said = load_said_job(job_file->file, job_file->overrides);
  check_request(request, values->count("reestimate-bn") > 0, said.job);

  MpiSession mpi;
  check_network({said.job.watchdog.network_s,
                 fs::path(said.job.run.directory) / ("network-" + name_of_start())});
  const Communicator world = Communicator::world();
  for (const std::string& warning : preflight(world).warnings)
    if (world.rank() == 0) spdlog::warn("{}", warning);
  const Evaluated result = evaluate_checkpoint(std::move(said), request, world);
  if (world.rank() == 0) {
    if (request.json)
      print_json(result, request);
    else
      print_line(result, request);
  }
  return 0;
}

}  // namespace lockstep
