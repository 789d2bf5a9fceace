#include "coordinator/health_actions.h"

#include <spdlog/fmt/fmt.h>

#include <cmath>

#include "coordinator/health/replica_check.h"
#include "data/error.h"

namespace lockstep {

HealthActions::HealthActions(const RunContext& run, TrainingHealth& health,
                             RunCheckpoints& checkpoints)
    : run_(run), health_(health), checkpoints_(checkpoints) {
  const RankPlace& place = run.place;
  if (place.works && place.grid.replicas() > 1 && run.job.health.on_straggler != "ignore")
    stragglers_.emplace(
        run.job.health, place.replicas(), place.staged() ? "replicas of" : "workers",
        place.first_to_work() ? run.directory.path() / "waits.jsonl" : std::filesystem::path());
}

bool HealthActions::act_on(const HealthVerdict& verdict, const StepVotes& votes,
                           const RunCourse& course) {
  if (votes.disagree()) {
    compare_parameters(course.where.step);  // names who is wrong
    throw CommError(
        fmt::format("step {}: {} of {} ranks find it sick, the others do not; a memory or a sum is "
                    "damaged. Restart: training resumes from the newest good checkpoint",
                    course.where.step, votes.unhealthy, votes.ranks));
  }
  if (verdict.action != HealthAction::kGoOn && run_.place.first()) {
    const bool goes_on =
        verdict.action == HealthAction::kWarn || verdict.action == HealthAction::kSkip;
    const StepMetrics& last = course.last_step;
    const bool finite = std::isfinite(last.loss) && std::isfinite(last.gradient_norm);
    const WarningKind kind = finite ? WarningKind::kSpike : WarningKind::kNotFinite;
    run_.observers.on_warning(goes_on ? kind : WarningKind::kOnce, verdict.what);
  }
  if (verdict.action == HealthAction::kStop) stop_because(verdict.what);
  return verdict.action == HealthAction::kRollBack;
}

/// On all ranks; saves what is under way first, which is older and well.
void HealthActions::stop_because(const std::string& what) {
  checkpoints_.publish();
  const std::string gradients = health_.sick_gradients();
  throw HealthError(
      what + (gradients.empty() ? "" : "; " + gradients) +
      ". Checkpoints from before are kept, later ones were not made: start again with a "
      "lower optimizer.learning_rate, more schedule.warmup_epochs or optimizer.clip_norm; "
      "[health] says what else can be done about it");
}

void HealthActions::compare_parameters(std::int64_t step) {
  const RankPlace& place = run_.place;
  if (!place.works || run_.job.train.hash_every == 0) return;
  compare_replicas(run_.model.state(), place.replicas(), step,
                   place.world_ranks_of_stage(place.stage()));
}

void HealthActions::look(std::int64_t step) {
  const std::int64_t every = run_.job.health.every_steps;
  if (every == 0 || step % every != 0) return;
  look_at_layers(step);
  look_for_stragglers(step);
}

/// Each stage's first replica looks: the others hold the same.
void HealthActions::look_at_layers(std::int64_t step) {
  const HealthOptions& options = run_.job.health;
  const Communicator& world = run_.place.world;
  std::string stop;
  if (run_.place.replica() == 0) stop = health_.look(step);
  const bool can_stop =
      options.on_vanishing == "stop" || options.on_dead == "stop" || options.on_stale_bn == "stop";
  if (!can_stop ||
      world.all_reduce(std::int64_t{!stop.empty()}, ReduceOp::kMax, "layers' health") == 0)
    return;
  std::string all;
  for (const std::string& text : world.gather(stop, 0, "layers' health"))
    if (!text.empty()) all += (all.empty() ? "" : "; ") + text;
  stop_because(fmt::format("step {}: {}", step, all));
}

void HealthActions::look_for_stragglers(std::int64_t step) {
  if (!stragglers_) return;
  const std::string warning =
      stragglers_->look(step, run_.place.world_ranks_of_stage(run_.place.stage()));
  if (!warning.empty()) run_.observers.on_warning(WarningKind::kStraggler, warning);
}

}  // namespace lockstep
