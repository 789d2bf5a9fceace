#include "coordinator/engine_setup.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "coordinator/machine_memory.h"
#include "coordinator/overcommit.h"
#include "coordinator/probe.h"
#include "coordinator/stages/stage_setup.h"

namespace lockstep {

namespace {

/// Whether all ranks can hold so much for a moment: within the budget, or half of the machine's
/// memory.
bool fits_everywhere(std::size_t bytes, std::size_t budget, const Communicator& workers) {
  const std::size_t machine = machine_memory() / 2 / static_cast<std::size_t>(workers.node_size());
  const bool fits = bytes <= (budget > 0 ? std::min(budget, machine) : machine);
  return workers.all_reduce(std::int64_t{fits}, ReduceOp::kMin, "room for a probe") != 0;
}

/// Times of a micro-batch of one replica.
struct KnownTimes {
  OpTimes ops;
  bool measured = false;  // else estimated
};

/// As the job wants them known: measured by all ranks of `workers` at once, or estimated. Collective.
KnownTimes op_times(const Job& job, const Graph& graph, const RankOptions& options,
                    const Communicator& workers) {
  if (!job.parallel.probe || !job.parallel.cuts.empty())
    return {.ops = estimate_op_times(graph, options.plan.max_images)};
  const std::size_t bytes = probe_bytes(graph, options);
  if (fits_everywhere(bytes, options.memory.budget_bytes, workers))
    return {.ops = probe_op_times(graph, options, workers), .measured = true};
  if (workers.rank() == 0)
    spdlog::info(
        "stages are cut by estimated times: a probe needs the whole model on a rank, {} MiB",
        bytes >> 20);
  return {.ops = estimate_op_times(graph, options.plan.max_images)};
}

/// Holds what the ranks will take against their machines, before they take it. Collective.
void admit(const Job& job, const RankPlan& plan, std::size_t bytes, const Communicator& workers) {
  if (job.memory.budget_mib > 0) return;
  const MemoryDemand demand{.bytes = bytes, .what_would_fit = [&](std::size_t share_bytes) {
                              return what_would_fit(plan, share_bytes);
                            }};
  check_overcommit(demand, workers, machine_memory(), job.memory.on_overcommit == "stop");
}

JobEngine make_stage(const Job& job, Graph graph, const RankOptions& options,
                     const Communicator& workers, const GridGroups& groups) {
  const KnownTimes times = op_times(job, graph, options, workers);
  JobEngine made{.engine = nullptr, .pipeline = choose_stages(job, graph, options, times.ops)};
  const PipelineChoice& choice = *made.pipeline;
  if (times.measured) made.predicted_seconds = forecast(choice.pipeline, choice.times).seconds;
  RankPlan plan = plan_rank(std::move(graph),
                            stage_options(options, choice.pipeline, groups.same_replica.rank()));
  made.planned_bytes = total_bytes(memory_of(plan));
  admit(job, plan, made.planned_bytes, workers);
  made.engine = std::make_unique<Engine>(std::move(plan), groups.same_stage, &groups.same_replica);
  check_stages(made.engine->train_plan(), groups.same_replica);
  check_stages(made.engine->eval_plan(), groups.same_replica);
  return made;
}

}  // namespace

JobEngine make_engine(const Job& job, Graph graph, RankOptions options, const Communicator& workers,
                      const GridGroups* groups, bool predicts) {
  if (groups) return make_stage(job, std::move(graph), options, workers, *groups);
  std::optional<CallTimes> times;
  if (predicts || options.memory.recompute.kind == RecomputeKind::kAuto)
    times = probe_for_plan(graph, options, workers);
  RankPlan plan = plan_rank(std::move(graph), std::move(options));
  JobEngine made{.engine = nullptr, .pipeline = {}, .planned_bytes = total_bytes(memory_of(plan))};
  admit(job, plan, made.planned_bytes, workers);
  made.engine = std::make_unique<Engine>(std::move(plan), workers);
  if (times)
    made.predicted_seconds = times->step(
        made.engine->train_plan(), made.engine->train_plan().max_images, job.train.micro_batches);
  return made;
}

}  // namespace lockstep
