// Trainer: what is done about sick steps.
#include <spdlog/spdlog.h>

#include <cmath>

#include "coordinator/health/replica_check.h"
#include "coordinator/health/shard_report.h"
#include "coordinator/trainer.h"
#include "data/error.h"
#include "data/validate.h"

namespace lockstep {

/// What `lockstep data check` says of the classes; the rest of it takes reading every sample.
void Trainer::tell_classes(std::span<const std::int64_t> of_training) const {
  const BalanceLimits limits{.max_share = job_.data.max_class_share,
                             .max_ratio = job_.data.max_class_ratio};
  if (const std::string uneven = uneven_classes(of_training, data_.class_names, limits);
      !uneven.empty())
    spdlog::warn("training: {}", uneven);
  if (data_.val_samples == 0) return;
  std::vector<std::int64_t> of_validation(of_training.size());
  for (std::int64_t i = 0; i < data_.val_samples; ++i)
    if (const auto label = static_cast<std::size_t>(data_.val_set().label(i));
        label < of_validation.size())
      ++of_validation[label];
  for (const std::string& warning : class_warnings(of_validation, data_.class_names, limits))
    spdlog::warn("validation: {}", warning);
}

void Trainer::tell_shards() const {
  if (data_.train_set().info().masks) return;
  const ShardReport report = report_shards(data_.train_set(), data_.train_samples, job_.train.batch,
                                           grid_.replicas(), job_.run.seed);
  spdlog::info("{}", describe(report));
  for (const std::string& warning : warnings(report)) spdlog::warn("{}", warning);
  tell_classes(report.whole);
}

/// After the metrics file has been opened: verdicts depend on the steps before, so that a resumed run
/// skips what an uninterrupted one does.
void Trainer::remember_steps() {
  std::vector<MetricsFile::PastStep> past;
  if (metrics_) past.assign(metrics_->past().begin(), metrics_->past().end());
  world_.broadcast(past, 0, "steps before");
  health_->resume(past);
}

void Trainer::compare_parameters() {
  if (!works_ || job_.train.hash_every == 0) return;
  compare_replicas(state(), replicas(), where_.step,
                   world_ranks_of_stage(grid_.stage_of(workers_.rank())));
}

/// `sick_ranks`: how many ranks hold the verdict that this one may hold. True: roll back.
bool Trainer::act_on(const HealthVerdict& verdict, std::int64_t sick_ranks) {
  if (sick_ranks > 0 && sick_ranks < world_.size()) {
    compare_parameters();  // names who is wrong
    throw CommError(
        fmt::format("step {}: {} of {} ranks find it sick, the others do not; a memory or a sum is "
                    "damaged. Restart: training resumes from the newest good checkpoint",
                    where_.step, sick_ranks, world_.size()));
  }
  if (verdict.action != HealthAction::kGoOn && world_.rank() == 0) {
    const bool goes_on =
        verdict.action == HealthAction::kWarn || verdict.action == HealthAction::kSkip;
    const bool finite = std::isfinite(last_step_.loss) && std::isfinite(last_step_.gradient_norm);
    RepeatedWarning& of_kind = finite ? spike_warnings_ : not_finite_warnings_;
    const std::string said = goes_on ? of_kind.add(verdict.what) : verdict.what;
    if (!said.empty()) spdlog::warn("{}", said);
  }
  if (verdict.action == HealthAction::kStop) stop_because(verdict.what);
  return verdict.action == HealthAction::kRollBack;
}

/// On all ranks; saves what is under way first, which is older and well.
void Trainer::stop_because(const std::string& what) {
  publish();
  const std::string gradients = health_->sick_gradients();
  throw HealthError(
      what + (gradients.empty() ? "" : "; " + gradients) +
      ". Checkpoints from before are kept, later ones were not made: start again with a "
      "lower optimizer.learning_rate, more schedule.warmup_epochs or optimizer.clip_norm; "
      "[health] says what else can be done about it");
}

/// Each stage's first replica looks: the others hold the same.
void Trainer::look_at_layers() {
  std::string stop;
  if (works_ && replica() == 0) stop = health_->look(where_.step);
  const bool can_stop = job_.health.on_vanishing == "stop" || job_.health.on_dead == "stop" ||
                        job_.health.on_stale_bn == "stop";
  if (!can_stop ||
      world_.all_reduce(std::int64_t{!stop.empty()}, ReduceOp::kMax, "layers' health") == 0)
    return;
  std::string all;
  for (const std::string& text : world_.gather(stop, 0, "layers' health"))
    if (!text.empty()) all += (all.empty() ? "" : "; ") + text;
  stop_because(fmt::format("step {}: {}", where_.step, all));
}

void Trainer::look_for_stragglers() {
  if (!stragglers_) return;
  const std::string warning =
      stragglers_->look(where_.step, world_ranks_of_stage(grid_.stage_of(workers_.rank())));
  if (warning.empty()) return;
  if (const std::string said = straggler_warnings_.add(warning); !said.empty())
    spdlog::warn("{}", said);
}

/// What was counted, and not said, of warnings that came again.
void Trainer::tell_repeated_warnings() const {
  for (const RepeatedWarning* warning :
       {&spike_warnings_, &not_finite_warnings_, &straggler_warnings_})
    if (const std::string rest = warning->rest(); !rest.empty()) spdlog::warn("{}", rest);
}

/// To the newest good checkpoint, or the beginning, as a new start would.
void Trainer::roll_back() {
  watchdog_.enter(Activity::kStart, where_.step);
  publish();
  const std::int64_t from = where_.step;
  sound_ = false;
  const bool loaded = loader_ != nullptr;
  loader_.reset();
  const std::string details = where_.details;
  where_ = load_or_initialize(starting_point(true), state(), world_, replicas());
  where_.details = details;
  where_.seed = job_.run.seed;
  begin_where_left();
  if (loaded) make_loader(engine_->train_plan().max_images);
  if (world_.rank() == 0) {
    metrics_ = nullptr;
    open_metrics();
    spdlog::warn("rolled back from step {} to {}", from, where_.step);
  }
  remember_steps();
  sound_ = true;
}

}  // namespace lockstep
