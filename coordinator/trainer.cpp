#include "coordinator/trainer.h"

#include <sched.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cmath>

#include "coordinator/evaluation.h"
#include "data/error.h"
#include "data/files.h"
#include "layers/layout.h"

namespace lockstep {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int lanes_of_rank(int wanted) {
  if (wanted > 0) return wanted;
  if (const char* text = std::getenv("OMP_NUM_THREADS"))
    if (const int n = std::atoi(text); n > 0) return n;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
  return std::max(1, CPU_COUNT(&mask));
}

Trainer::Trainer(const Job& job, const Communicator& group,
                 const volatile std::sig_atomic_t& stop)
    : job_(job), group_(group), stop_(stop), data_(open_job_data(job)),
      run_directory_(std::filesystem::path(job.run.directory) / job.run.name) {
  Graph graph = build_model(job.model, data_.input, data_.classes);
  const EngineOptions options =
      engine_options(job, graph, group.size(), lanes_of_rank(job.parallel.threads));
  data_.augment.planar = planar_input(options.layout);
  engine_ = std::make_unique<Engine>(std::move(graph), options, group);
  loader_ = std::make_unique<Loader>(
      *data_.train, data_.augment, job.run.seed,
      LoaderOptions{.threads = job.data.threads, .depth = job.data.prefetch,
                    .batch_capacity = options.max_images});
  const std::int64_t per_epoch = steps_per_epoch(data_.train_samples, job.train.batch);
  total_steps_ = std::llround(std::ceil(job.train.epochs * static_cast<double>(per_epoch)));
  if (job.train.max_steps > 0) total_steps_ = std::min(total_steps_, job.train.max_steps);
  start();
}

Trainer::~Trainer() = default;

void Trainer::start() {
  const std::filesystem::path checkpoints = run_directory_ / "checkpoints";
  if (group_.rank() == 0) create_directories_durably(checkpoints);
  where_ = load_or_initialize(checkpoints, job_.run.resume, job_.run.seed, engine_->state(), group_);
  saver_ = std::make_unique<Saver>(checkpoints, engine_->state(), group_, job_.checkpoint.keep);
  if (group_.rank() == 0) {
    metrics_ = std::make_unique<MetricsFile>(run_directory_ / "metrics.jsonl", where_.step);
    progress_ = std::make_unique<Progress>(total_steps_, job_.run.log_every_s);
  }
  const std::uint64_t hash = plan_hash(engine_->train_plan());
  for (std::uint64_t other : group_.all_gather_value(hash, "plan hash"))
    if (other != hash)
      throw ConfigError("ranks have made different plans of this job; start the same binary with "
                        "the same job on CPUs of one kind");
}

double Trainer::fractional_epoch() const {
  return static_cast<double>(where_.epoch) +
         static_cast<double>(where_.cursor) / static_cast<double>(data_.train_samples);
}

StepMetrics Trainer::step(TrainingFeed& feed) {
  const Positions whole = step_positions(where_.cursor, data_.train_samples, job_.train.batch);
  Executor& executor = engine_->trainer();
  StepMetrics m{.epoch = where_.epoch, .samples = whole.count()};
  m.learning_rate = learning_rate_at(job_.optimizer, job_.schedule, fractional_epoch(),
                                     job_.train.epochs, job_.train.batch);
  const double begin = now();
  const int micro_batches = job_.train.micro_batches;
  for (int i = 0; i < micro_batches; ++i) {
    const double waited = loader_->waited_seconds();
    const TrainingFeed::MicroBatch part = feed.next();
    m.data_seconds += loader_->waited_seconds() - waited;
    const StepContext context{.step = where_.step, .seed = job_.run.seed,
                              .loss_divisor = static_cast<double>(whole.count()),
                              .positions = part.positions,
                              .pixels = part.batch.pixels.data(),
                              .labels = part.batch.labels.data(),
                              .first_micro_batch = i == 0,
                              .images = static_cast<int>(part.positions.size()),
                              .learning_rate = static_cast<float>(m.learning_rate)};
    executor.prepare(context.images);  // known sizes return at once
    executor.run(context, i + 1 == micro_batches);
    m.times += executor.times();
  }
  m.step_seconds = now() - begin;
  const auto sums = executor.loss_sums();
  m.loss = sums[0] / sums[3];
  m.accuracy = sums[1] / sums[3];
  m.gradient_norm = executor.gradient_norm();
  ++where_.step;
  where_.cursor = whole.end;
  m.step = where_.step;
  return m;
}

bool Trainer::due_for_checkpoint() const {
  if (where_.step >= total_steps_) return true;
  if (job_.checkpoint.every_steps > 0) return where_.step % job_.checkpoint.every_steps == 0;
  return where_.cursor == 0;
}

/// Ranks agree on what all of them have to do next: stop (a signal may reach one rank only), or
/// publish the checkpoint that all have written.
bool Trainer::boundary() {
  constexpr std::int64_t kWritten = std::int64_t{1} << 32;
  const std::int64_t mine = (stop_ != 0 ? 1 : 0) + (saver_->ready() ? kWritten : 0);
  const std::int64_t sum = group_.all_reduce(mine, ReduceOp::kSum, "step boundary");
  if (saver_->saving() && sum / kWritten == group_.size()) saver_->publish(metrics_.get());
  stopped_ = sum % kWritten > 0;
  if (job_.train.hash_every > 0 && where_.step % job_.train.hash_every == 0) compare_parameters();
  if (due_for_checkpoint() || stopped_) save(false);
  return !stopped_;
}

void Trainer::save(bool wait) {
  saver_->publish(metrics_.get());
  if (!wait) {
    if (!job_.train.sync_bn)  // ranks differ then; rank 0's are the run's
      group_.broadcast(std::as_writable_bytes(engine_->state().statistics()), 0, "statistics");
    saver_->start(where_);
  }
}

void Trainer::compare_parameters() {
  const auto bytes = std::as_bytes(engine_->state().parameters());
  const std::uint64_t hash = hash64(bytes);
  const auto all = group_.all_gather_value(hash, "parameter hash");
  for (int r = 0; r < group_.size(); ++r)
    if (all[static_cast<std::size_t>(r)] != all[0])
      throw CommError("step " + std::to_string(where_.step) + ": the parameters of rank " +
                      std::to_string(r) + " differ from rank 0's; its memory or its sums are damaged. "
                      "Restart: training resumes from the newest good checkpoint");
}

void Trainer::end_of_epoch() {
  const bool due = job_.train.validate_every > 0 &&
                   (where_.epoch % job_.train.validate_every == 0 || where_.step >= total_steps_);
  if (!due) return;
  if (!job_.train.sync_bn)
    group_.broadcast(std::as_writable_bytes(engine_->state().statistics()), 0, "statistics");
  ValidationMetrics v = evaluate(*engine_, *data_.val, data_.val_samples, data_.augment,
                                 job_.data.threads, group_);
  v.step = where_.step;
  v.epoch = where_.epoch;
  last_validation_ = v;
  if (metrics_) metrics_->write(v);
  if (progress_) progress_->validation(v);
  if (!where_.best_step || v.accuracy > where_.best_metric) {
    where_.best_metric = v.accuracy;
    where_.best_step = where_.step;
    without_improvement_ = 0;
  } else {
    ++without_improvement_;
  }
}

TrainingEnd Trainer::run() {
  TrainingFeed feed(*loader_,
                    {.samples = data_.train_samples, .batch = job_.train.batch,
                     .rank = group_.rank(), .ranks = group_.size(),
                     .micro_batches = job_.train.micro_batches, .seed = job_.run.seed,
                     .ahead = job_.data.prefetch},
                    where_.epoch, where_.cursor);
  bool going = true;
  while (going && where_.step < total_steps_) {
    const StepMetrics m = step(feed);
    if (metrics_) metrics_->write(m);
    if (progress_) progress_->step(m);
    const bool epoch_ended = where_.cursor >= data_.train_samples;
    if (epoch_ended) {
      ++where_.epoch;
      where_.cursor = 0;
    }
    if (epoch_ended || where_.step == total_steps_) end_of_epoch();
    going = boundary();
    if (job_.train.early_stopping > 0 && without_improvement_ >= job_.train.early_stopping) {
      if (group_.rank() == 0)
        spdlog::info("early stopping: {} validations without improvement", without_improvement_);
      if (!saver_->saving()) saver_->start(where_);
      break;
    }
  }
  if (progress_) progress_->finish();
  save(true);
  return stopped_ && where_.step < total_steps_ ? TrainingEnd::kStoppedBySignal
                                                : TrainingEnd::kDone;
}

}  // namespace lockstep
