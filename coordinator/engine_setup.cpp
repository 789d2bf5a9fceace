#include "coordinator/engine_setup.h"

#include "coordinator/machine_memory.h"
#include "coordinator/overcommit.h"
#include "coordinator/probe.h"
#include "coordinator/stages/stage_setup.h"

namespace lockstep {

namespace {

JobEngine make_stage(const Job& job, Graph graph, EngineOptions options,
                     const Communicator& workers, const GridGroups& groups) {
  const KnownTimes times = op_times(job, graph, options, workers);
  JobEngine made{.engine = nullptr, .pipeline = choose_stages(job, graph, options, times.ops)};
  options.pipeline = made.pipeline->pipeline;
  options.stage = groups.same_replica.rank();
  if (times.measured)
    made.predicted_seconds = forecast(made.pipeline->pipeline, made.pipeline->times).seconds;
  made.engine =
      std::make_unique<Engine>(std::move(graph), options, groups.same_stage, &groups.same_replica);
  check_stages(made.engine->train_plan(), groups.same_replica);
  check_stages(made.engine->eval_plan(), groups.same_replica);
  return made;
}

}  // namespace

JobEngine make_engine(const Job& job, Graph graph, EngineOptions options,
                      const Communicator& workers, const GridGroups* groups, bool predicts) {
  if (job.memory.budget_mib == 0)
    options.admit = [&](const MemoryDemand& demand) {
      check_overcommit(demand, workers, machine_memory(), job.memory.on_overcommit == "stop");
    };
  if (groups) return make_stage(job, std::move(graph), options, workers, *groups);
  std::optional<CallTimes> times;
  if (predicts || options.memory.recompute.kind == RecomputeKind::kAuto)
    times = probe_for_plan(graph, options, workers);
  JobEngine made{.engine = std::make_unique<Engine>(std::move(graph), options, workers),
                 .pipeline = {}};
  if (times)
    made.predicted_seconds =
        times->step(made.engine->train_plan(), options.max_images, job.train.micro_batches);
  return made;
}

}  // namespace lockstep
