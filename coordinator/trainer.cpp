#include "coordinator/trainer.h"

#include <spdlog/spdlog.h>

#include <cmath>

#include "coordinator/all_reduce_choice.h"
#include "coordinator/data_record.h"
#include "coordinator/engine_setup.h"
#include "coordinator/evaluation.h"
#include "coordinator/machine_memory.h"
#include "coordinator/rank_cpus.h"
#include "coordinator/stages/stage_setup.h"
#include "data/error.h"
#include "data/files.h"
#include "data/number_text.h"
#include "data/timing.h"
#include "layers/cpu/instruction_set.h"
#include "layers/layout.h"
#include "layers/model_doubts.h"
#include "worker/comm/mpi.h"

namespace lockstep {

Trainer::Trainer(const Job& job, const RunStart& run_start, const Communicator& world,
                 const volatile std::sig_atomic_t& stop, Watchdog& watchdog, FaultInjector& faults,
                 Recovery* recovery)
    : job_(job),
      world_(world),
      recovery_(recovery),
      works_(job.parallel.coordinator != "dedicated" || world.rank() > 0),
      first_worker_(job.parallel.coordinator == "dedicated" ? 1 : 0),
      workers_(world.split(works_ ? 1 : 0, world.rank(), "workers")),
      grid_(make_grid(job.parallel.stages, world, first_worker_)),
      stop_(stop),
      watchdog_(watchdog),
      faults_(faults),
      data_(open_job_data(job, world)),
      run_directory_(std::filesystem::path(job.run.directory) / job.run.name),
      pacer_(job.checkpoint.mean_time_to_failure_s, 60 * job.checkpoint.every_minutes,
             end_of_job_s(), seconds_now()) {
  if (world.size() == first_worker_)
    throw ConfigError("parallel.coordinator = dedicated needs at least 2 ranks; use worker");
  check_shares(job, data_.train_samples, grid_.replicas());
  data_record_ = data_record(
      data_, world,
      recovery_ && recovery_->mine ? data_record_of(recovery_->mine->where.details) : "");
  agree_on_instruction_set(world);
  if (staged() && works_) groups_.emplace(split_grid(grid_, workers_));
  Graph graph = build_model(job.model, data_.input, data_.classes);
  if (world.rank() == 0)
    for (const std::string& doubt : model_doubts(job.model, graph)) spdlog::warn("{}", doubt);
  EngineOptions options = make_options(graph);
  data_.augment.planar = planar_input(options.layout);
  activations_ = options.activations;
  if (works_) {
    make_engine(std::move(graph), options);
  } else {
    graph_ = std::make_unique<Graph>(std::move(graph));
    idle_state_ = std::make_unique<ModelState>(*graph_);
  }
  if (world_.rank() == 0) tell_shards();
  if (loads()) {
    make_loader(options.max_images);
  } else if (!data_.train_scatter) {  // what they tell is known
    data_.train.reset();
    data_.val.reset();
  }
  prepare_sizes();
  start(run_start);
}

Trainer::~Trainer() = default;

/// On all ranks: what a run's ranks agree on is found out together.
EngineOptions Trainer::make_options(const Graph& graph) {
  EngineOptions options =
      engine_options(job_, graph, grid_.replicas(), lanes_of_rank(job_.parallel.threads, world_));
  all_reduce_table_ = table_text(job_, run_directory_, world_);
  options.all_reduce.table = table_of(job_, all_reduce_table_, replicas());
  options.memory.question.dataset_bytes = bytes_in_memory(data_);
  limit_to_machine(options, world_);
  lanes_ = options.lanes;
  warn_of_crowding(works_ ? lanes_ : 0, workers_);
  return options;
}

void Trainer::make_engine(Graph graph, const EngineOptions& options) {
  // both planned and there
  const std::size_t before = resident_bytes(), samples = options.memory.question.dataset_bytes;
  JobEngine made = lockstep::make_engine(job_, std::move(graph), options, workers_,
                                         groups_ ? &*groups_ : nullptr);
  Expected expected =
      expect(made, grid_.stage_of(workers_.rank()), grid_.replicas(), job_.train.micro_batches);
  expected.base_bytes = before - std::min(before, samples);
  forecast_.emplace(expected);
  engine_ = std::move(made.engine);
  if (!made.pipeline) return;
  if (workers_.rank() == 0) spdlog::info("{}", describe(*made.pipeline, job_.parallel.schedule));
  pipeline_ = made.pipeline->pipeline;
}

/// Of micro-batches; of whole steps where a pipeline takes all of their micro-batches at once.
void Trainer::make_loader(int micro_batch_images) {
  const int micro_batches = job_.train.micro_batches;
  LoaderOptions options{.threads = job_.data.threads,
                        .depth = job_.data.prefetch,
                        .batch_capacity = micro_batch_images};
  if (staged()) {
    options.depth = (job_.data.prefetch + micro_batches - 1) / micro_batches;
    options.batch_capacity = micro_batch_images * micro_batches;
  }
  loader_ = std::make_unique<Loader>(data_.train_set(), data_.augment, job_.run.seed, options);
}

/// Makes ready for the micro-batches of full steps and of an epoch's last one, so that no step does.
void Trainer::prepare_sizes() {
  if (!works_) return;
  const int micro_batches = job_.train.micro_batches;
  const std::int64_t last = data_.train_samples % job_.train.batch;
  for (std::int64_t samples :
       {std::min<std::int64_t>(job_.train.batch, data_.train_samples), last}) {
    std::vector<int> sizes;
    for (int i = 0; i < micro_batches; ++i)
      sizes.push_back(static_cast<int>(
          micro_batch_positions({0, samples}, replica(), grid_.replicas(), i, micro_batches)
              .count()));
    const std::size_t at_once = staged() ? sizes.size() : 1;
    for (std::size_t i = 0; i < sizes.size(); i += at_once)
      engine_->trainer().prepare(std::span(sizes).subspan(i, at_once));
  }
}

/// Where this run ends: what is left of its epochs from where it is, in steps of today's batch.
std::int64_t Trainer::last_step() const {
  const std::int64_t per_epoch = steps_per_epoch(data_.train_samples, job_.train.batch);
  const std::int64_t whole =
      steps_of_epochs(job_.train.epochs, data_.train_samples, job_.train.batch);
  const std::int64_t done =
      where_.epoch * per_epoch + steps_per_epoch(where_.cursor, job_.train.batch);
  const std::int64_t last = where_.step + std::max<std::int64_t>(0, whole - done);
  return job_.train.max_steps > 0 ? std::min(last, job_.train.max_steps) : last;
}

std::vector<int> Trainer::world_ranks_of_stage(int stage) const {
  std::vector<int> ranks;
  for (int r = 0; r < grid_.replicas(); ++r)
    ranks.push_back(first_worker_ + grid_.worker(r, stage));
  return ranks;
}

TrainingFeed Trainer::make_feed() {
  const int micro_batches = job_.train.micro_batches;
  return {loader_.get(),
          data_.train_scatter.get(),
          {.samples = data_.train_samples,
           .batch = job_.train.batch,
           .replica = replica(),
           .replicas = grid_.replicas(),
           .world_size = world_.size(),
           .loading_rank = world_ranks_of_stage(0),  // it has the loader
           .micro_batches = micro_batches,
           .at_once = staged(),
           .seed = job_.run.seed,
           .ahead = staged() ? (job_.data.prefetch + micro_batches - 1) / micro_batches
                             : job_.data.prefetch},
          where_.epoch,
          where_.cursor};
}

double Trainer::fractional_epoch() const {
  return static_cast<double>(where_.epoch) +
         static_cast<double>(where_.cursor) / static_cast<double>(data_.train_samples);
}

CurvePlace Trainer::curve_place() const {
  const std::int64_t steps = steps_per_epoch(data_.train_samples, job_.train.batch);
  const std::int64_t last = data_.train_samples - (steps - 1) * job_.train.batch;
  return {.epoch = fractional_epoch(),
          .last_step = static_cast<double>(last) / static_cast<double>(data_.train_samples),
          .train_epochs = job_.train.epochs,
          .falls = where_.plateau.falls};
}

/// This rank's micro-batches; on a rank that only coordinates, just the data's way.
void Trainer::compute(TrainingFeed& feed, const Positions& whole, StepMetrics& m) {
  int done = 0;
  while (done < job_.train.micro_batches) {
    const double asked = seconds_now();
    const std::span<const TrainingFeed::MicroBatch> parts = feed.next();
    m.data_seconds += seconds_now() - asked;
    const bool first = done == 0;
    done += static_cast<int>(parts.size());
    if (!works_) continue;
    contexts_.clear();
    faults_.spoil(where_.step + 1, parts.front().pixels);
    for (const TrainingFeed::MicroBatch& part : parts)
      contexts_.push_back({.step = where_.step,
                           .seed = job_.run.seed,
                           .loss_divisor = static_cast<double>(m.samples),
                           .positions = part.positions,
                           .step_begin = whole.begin,
                           .step_end = whole.end,
                           .pixels = part.pixels.data(),
                           .labels = part.labels.data(),
                           .first_micro_batch = first && contexts_.empty(),
                           .images = static_cast<int>(part.positions.size()),
                           .learning_rate = static_cast<float>(m.learning_rate),
                           .norm_limit = health_->norm_limit()});
    Executor& executor = engine_->trainer();
    sizes_.clear();
    for (const StepContext& context : contexts_) sizes_.push_back(context.images);
    executor.prepare(sizes_);  // returns at once, except after a resume in mid-epoch
    executor.run(contexts_, done == job_.train.micro_batches);
    m.times += executor.times();
  }
  if (!works_) return;
  const auto sums = engine_->trainer().loss_sums();
  const double labels = std::max(sums[3], 1.0);  // there may be none in pictures
  m.loss = without_nan_sign(sums[0] / labels);
  m.accuracy = sums[1] / labels;
  m.gradient_norm = without_nan_sign(engine_->trainer().gradient_norm());
  m.held = engine_->trainer().update_held();
}

StepMetrics Trainer::step(TrainingFeed& feed) {
  watchdog_.enter(Activity::kStep, where_.step);
  const Positions whole = step_positions(where_.cursor, data_.train_samples, job_.train.batch);
  StepMetrics m{.epoch = where_.epoch, .samples = whole.count()};
  m.learning_rate = scheduled_rate(job_.optimizer, job_.schedule, curve_place(), job_.train.batch);
  const double begin = seconds_now();
  faults_.before_step(where_.step + 1, works_ ? &state() : nullptr);
  health_->before_step(where_.step + 1,
                       {.seed = job_.run.seed, .step = where_.step, .positions = whole});
  in_step_ = true;
  compute(feed, whole, m);
  m.step_seconds = seconds_now() - begin;
  m.step = ++where_.step;  // at once after the update: survivors tell by it what they hold
  where_.cursor = whole.end;
  begin_epoch_where_due();
  unfinished_ = true;
  in_step_ = false;
  last_step_ = m;
  if (first_worker_ > 0) {
    world_.broadcast_value(m, first_worker_, "step metrics");
    last_step_ = m;
  }
  watchdog_.step_took(m.step_seconds);
  return m;
}

/// Ranks agree on what all of them have to do next: stop (a signal may reach one rank only), or
/// publish the checkpoint that all have written.
Trainer::Next Trainer::boundary(const StepMetrics& m) {
  watchdog_.enter(Activity::kCheckpoint, where_.step);
  if (job_.parallel.on_rank_lost == "shrink" && world_.has_lost())
    throw RankLostError("a rank that no other waited for is lost, a spare perhaps");
  const HealthVerdict verdict = health_->after_step(m);
  pacer_.step(m.step_seconds, saver_->saving());
  constexpr std::int64_t kSick = std::int64_t{1} << 16, kWritten = kSick << 16,
                         kDue = kWritten << 16, kAsked = kDue << 1;
  const bool sick = verdict.action > HealthAction::kWarn;
  const bool due = world_.rank() == 0 && pacer_.due(seconds_now());
  const bool asked = world_.rank() == 0 && stop_file_.asked(seconds_now());
  const std::int64_t mine = (stop_ != 0 ? 1 : 0) + (sick ? kSick : 0) +
                            (saver_->ready() ? kWritten : 0) + (due ? kDue : 0) +
                            (asked ? kAsked : 0);
  const std::int64_t sum = world_.all_reduce(mine, ReduceOp::kSum, "step boundary");
  if (sum % kDue / kWritten == world_.size()) publish();
  asked_to_stop_ = sum >= kAsked;
  stopped_ = asked_to_stop_ || sum % kSick > 0;
  if (lock_ && lock_->lost())
    throw ConfigError(run_directory_.string() +
                      ": another job has taken this directory; one of them "
                      "must have another run.name");
  if (act_on(verdict, sum % kWritten / kSick)) return Next::kRollBack;
  if (!sick && job_.health.every_steps > 0 && where_.step % job_.health.every_steps == 0) {
    look_at_layers();
    look_for_stragglers();
  }
  const bool saves = due_for_checkpoint() || stopped_ || sum >= kDue;
  if (saves || (job_.train.hash_every > 0 && where_.step % job_.train.hash_every == 0))
    compare_parameters();
  if (saves) save();
  return stopped_ ? Next::kStop : Next::kGoOn;
}

ValidationMetrics Trainer::validate() {
  if (data_.val_scatter && !val_scattered_) {
    std::vector<std::vector<std::int64_t>> wanted(static_cast<std::size_t>(world_.size()));
    const EpochOrder order = EpochOrder::identity(data_.val_samples);
    const std::vector<int> ranks = world_ranks_of_stage(0);
    for (int i = 0; i < grid_.replicas(); ++i) {
      const Positions part = part_of({0, data_.val_samples}, i, grid_.replicas());
      wanted[static_cast<std::size_t>(ranks[static_cast<std::size_t>(i)])] =
          order.samples(part.begin, part.end);
    }
    data_.val_scatter->send(wanted);
    val_scattered_ = true;
  }
  ValidationMetrics v;
  if (works_)
    v = evaluate(*engine_, loads() ? &data_.val_set() : nullptr, data_.val_samples, data_.augment,
                 job_.data.threads, replicas());
  if (first_worker_ > 0) world_.broadcast_value(v, first_worker_, "validation metrics");
  v.step = where_.step;
  v.epoch = where_.epoch;
  return v;
}

void Trainer::end_of_epoch() {
  const bool due = job_.train.validate_every > 0 &&
                   (where_.epoch % job_.train.validate_every == 0 || where_.step >= total_steps_);
  if (!due) return;
  watchdog_.enter(Activity::kValidation, where_.step,
                  static_cast<double>(data_.val_samples) / job_.train.batch);
  share_statistics();
  const ValidationMetrics v = validate();
  last_validation_ = v;
  if (metrics_) metrics_->write(v);
  if (progress_) progress_->validation(v);
  if (!where_.best_step || v.score() > where_.best_metric) {
    where_.best_metric = v.score();
    where_.best_step = where_.step;
  }
  follow_plateau(v);
}

/// Only at the ends of epochs that are due in any case: a training that was ended earlier and then goes on has
/// the rates of one that was not.
void Trainer::follow_plateau(const ValidationMetrics& v) {
  if (job_.schedule.policy != "plateau" || where_.cursor > 0 ||
      where_.epoch % job_.train.validate_every != 0)
    return;
  if (static_cast<double>(where_.epoch) < job_.schedule.warmup_epochs) return;
  const bool of_loss = job_.schedule.plateau_metric == "loss";
  if (!count_validation(job_.schedule, where_.step, of_loss ? v.loss : v.score(), where_.plateau))
    return;
  if (world_.rank() == 0)
    spdlog::info(
        "the learning rate falls to {:.4g}: {} validations without a better {} than {:.4g}",
        scheduled_rate(job_.optimizer, job_.schedule, curve_place(), job_.train.batch),
        job_.schedule.patience, of_loss ? "loss" : "accuracy",
        where_.plateau.best.value_or(std::nan("")));
}

/// Of the first worker.
void Trainer::tell_forecast() {
  Comparison comparison;
  if (works_ && workers_.rank() == 0) comparison = forecast_->compare(engine_->planned_bytes());
  if (first_worker_ > 0) world_.broadcast_value(comparison, first_worker_, "forecast");
  if (world_.rank() > 0 || comparison.steps == 0) return;
  spdlog::info("{}", summary(comparison));
  try {
    write_file_durably(run_directory_ / kForecastFile, to_json(comparison));
  } catch (const IoError& error) {
    spdlog::warn("the run is saved, its forecast is not: {}", error.what());
  }
}

/// Until the training is over, or has to go back.
Trainer::Next Trainer::train(TrainingFeed& feed) {
  Next next = Next::kGoOn;
  while (next == Next::kGoOn && where_.step < total_steps_ && !no_longer_improves()) {
    const StepMetrics m = step(feed);
    if (forecast_) forecast_->step(m);
    if (metrics_) metrics_->write(m);
    if (progress_) progress_->step(m);
    if (recovery_) tell_recovery();
    next = finish_step(m);
  }
  return next;
}

/// What comes after its update.
Trainer::Next Trainer::finish_step(const StepMetrics& m) {
  if (where_.cursor == 0 || where_.step == total_steps_) end_of_epoch();
  const Next next = boundary(m);
  unfinished_ = false;
  return next;
}

TrainingEnd Trainer::run() {
  Next next = carried_ ? finish_carried_step() : Next::kGoOn;
  for (bool goes_on = next != Next::kStop; goes_on; goes_on = next == Next::kRollBack) {
    if (next == Next::kRollBack) roll_back();
    TrainingFeed feed = make_feed();
    next = train(feed);
  }
  if (world_.rank() == 0 && no_longer_improves())
    spdlog::info("early stopping: {} validations without improvement", job_.train.early_stopping);
  if (recovery_) tell_recovery();
  if (progress_) progress_->finish();
  tell_repeated_warnings();
  tell_forecast();
  publish();
  if (!saved_) not_saved();
  if (asked_to_stop_ && world_.rank() == 0) take_stop_file(run_directory_);
  if (!stopped_ || where_.step >= total_steps_) return TrainingEnd::kDone;
  return asked_to_stop_ ? TrainingEnd::kStoppedAsAsked : TrainingEnd::kStoppedBySignal;
}

}  // namespace lockstep
