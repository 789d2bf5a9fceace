#include "coordinator/stages/stage_setup.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "coordinator/machine_memory.h"
#include "coordinator/plan/planner.h"
#include "coordinator/probe.h"
#include "coordinator/stages/message_check.h"

namespace lockstep {

namespace {

std::size_t at(int id) { return static_cast<std::size_t>(id); }

std::string to_text(const std::vector<StageAction>& actions) {
  nlohmann::json list = nlohmann::json::array();
  for (const StageAction& a : actions)
    list.push_back({static_cast<int>(a.kind), a.name, a.peer, a.tag, a.bytes, a.started});
  return list.dump();
}

std::vector<StageAction> from_text(const std::string& text) {
  std::vector<StageAction> actions;
  for (const auto& a : nlohmann::json::parse(text))
    actions.push_back(
        {static_cast<StageAction::Kind>(a[0].get<int>()), a[1], a[2], a[3], a[4], a[5]});
  return actions;
}

/// Whether all ranks can hold so much for a moment: within the budget, or half of the machine's
/// memory.
bool fits_everywhere(std::size_t bytes, std::size_t budget, const Communicator& workers) {
  const std::size_t machine = machine_memory() / 2 / static_cast<std::size_t>(workers.node_size());
  const bool fits = bytes <= (budget > 0 ? std::min(budget, machine) : machine);
  return workers.all_reduce(std::int64_t{fits}, ReduceOp::kMin, "room for a probe") != 0;
}

}  // namespace

PipelineOptions pipeline_options(const Job& job) {
  PipelineOptions options{
      .stages = job.parallel.stages,
      .micro_batches = job.train.micro_batches,
      .schedule = parse_pipeline_schedule(job.parallel.schedule, job.parallel.fold),
      .cuts = job.parallel.cuts};
  if (job.memory.recompute == "none")  // else what is kept is for the plan to find
    options.stage_bytes = static_cast<double>(job.memory.budget_mib) * (1 << 20);
  return options;
}

KnownTimes op_times(const Job& job, const Graph& graph, const EngineOptions& options,
                    const Communicator& workers) {
  if (!job.parallel.probe || !job.parallel.cuts.empty())
    return {.ops = estimate_op_times(graph, options.max_images)};
  const std::size_t bytes = probe_bytes(graph, options);
  if (fits_everywhere(bytes, options.memory.budget_bytes, workers))
    return {.ops = probe_op_times(graph, options, workers), .measured = true};
  if (workers.rank() == 0)
    spdlog::info(
        "stages are cut by estimated times: a probe needs the whole model on a rank, {} MiB",
        bytes >> 20);
  return {.ops = estimate_op_times(graph, options.max_images)};
}

PipelineChoice choose_stages(const Job& job, const Graph& graph, const EngineOptions& options,
                             const OpTimes& times) {
  return choose_pipeline(
      graph, chain_weights(graph, fuse(graph), options.activations, options.max_images, times),
      pipeline_options(job));
}

std::vector<int> stage_of_ops(const Graph& graph, const Pipeline& pipeline) {
  std::vector<int> stages(graph.ops().size(), 0);
  for (std::size_t c = 0; c < pipeline.chunks.size(); ++c)
    for (OpId id = pipeline.chunks[c].first; id <= pipeline.chunks[c].last; ++id)
      stages[at(id)] = pipeline.stage_of_chunk[c];
  return stages;
}

std::string describe(const PipelineChoice& choice, const std::string& schedule) {
  std::string text =
      std::to_string(choice.pipeline.stages) + " stages, " + schedule + ", chunks from ";
  for (std::size_t c = 0; c < choice.begins.size(); ++c) text += (c ? ", " : "") + choice.begins[c];
  char bubble[32];
  std::snprintf(bubble, sizeof bubble, "; expected bubble %.1f%%",
                100 * forecast(choice.pipeline, choice.times).bubble());
  return text + bubble;
}

void check_stages(const Plan& plan, const Communicator& same_replica) {
  std::vector<std::vector<StageAction>> stages;
  const std::vector<std::string> texts =
      same_replica.gather(to_text(stage_actions(plan)), 0, "messages of stages");
  for (const std::string& text : texts) stages.push_back(from_text(text));
  check_messages(stages);
}

}  // namespace lockstep
