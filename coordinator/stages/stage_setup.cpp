#include "coordinator/stages/stage_setup.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/plan/index.h"
#include "coordinator/plan/message_check.h"

namespace lockstep {

namespace {

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

PipelineChoice choose_stages(const Job& job, const Graph& graph, const RankOptions& options,
                             const OpTimes& times) {
  return choose_pipeline(
      graph,
      chain_weights(graph, fuse(graph), options.plan.activations, options.plan.max_images, times,
                    optimizer_rule(options.optimizer)),
      pipeline_options(job));
}

RankOptions stage_options(RankOptions replica, const Pipeline& pipeline, int stage) {
  if (pipeline.stages > 1) replica.plan.pipeline = pipeline;
  replica.plan.stage = stage;
  return replica;
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
