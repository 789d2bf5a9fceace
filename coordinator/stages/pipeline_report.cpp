#include "coordinator/stages/pipeline_report.h"

#include <algorithm>
#include <set>

#include "coordinator/plan/index.h"
#include "coordinator/plan/rank_plan.h"
#include "coordinator/stages/pipeline_forecast.h"

namespace lockstep {

namespace {

std::vector<int> chunk_of_ops(const Graph& graph, const Pipeline& pipeline) {
  std::vector<int> chunks(graph.ops().size(), 0);
  for (std::size_t c = 0; c < pipeline.chunks.size(); ++c)
    for (OpId id = pipeline.chunks[c].first; id <= pipeline.chunks[c].last; ++id)
      chunks[at(id)] = static_cast<int>(c);
  return chunks;
}

/// What recomputation adds to the backward parts of each chunk. @return whether it adds anything
bool add_replays(const Graph& graph, const Plan& plan, const OpTimes& op_times,
                 const std::vector<int>& chunk_of, PipelineTimes& times) {
  std::set<std::pair<OpId, int>> replayed;  // with the micro-batch
  for (const Call& call : plan.calls) {
    if (!call.replay || call.kind != CallKind::kForward || call.op == kNone) continue;
    if (!replayed.emplace(call.op, call.micro_batch).second) continue;
    times.chunks[at(chunk_of[at(call.op)])].backward_data +=
        op_times[at(call.op)].forward / plan.micro_batches;
  }
  return !replayed.empty();
}

std::string name_of_chunk(const Chain& chain, const Graph& graph, const OpRange& chunk) {
  const auto name = [&](OpId op) {
    const std::string& block = chain.blocks[at(chain.block_of[at(op)])].name;
    return block.empty() ? graph.op(op).name : block;
  };
  const std::string first = name(chunk.first), last = name(chunk.last);
  return first == last ? first : first + " to " + last;
}

}  // namespace

std::size_t PipelineReport::most_memory() const {
  std::size_t most = 0;
  for (const StageReport& stage : stages) most = std::max(most, total_bytes(stage.memory));
  return most;
}

std::size_t PipelineReport::stage_bytes_sent() const {
  std::size_t sum = 0;
  for (const StageReport& stage : stages) sum += stage.traffic.stage_bytes_sent;
  return sum;
}

PipelineReport report_pipeline(const Graph& graph, const RankOptions& options,
                               const PipelineChoice& choice, const OpTimes& op_times) {
  const Pipeline& pipeline = choice.pipeline;
  const Chain chain = chain_of(graph, fuse(graph));
  const std::vector<int> chunk_of = chunk_of_ops(graph, pipeline), held = most_held(pipeline);
  PipelineReport report;
  PipelineTimes times = choice.times;
  for (int s = 0; s < pipeline.stages; ++s) {
    const RankPlan rank = plan_rank(graph, stage_options(options, pipeline, s));
    StageReport stage{.held = held[at(s)], .memory = memory_of(rank), .traffic = rank.traffic};
    stage.replays = add_replays(graph, rank.train, op_times, chunk_of, times);
    for (std::size_t c = 0; c < pipeline.chunks.size(); ++c) {
      if (pipeline.stage_of_chunk[c] != s) continue;
      stage.ops += pipeline.chunks[c].last - pipeline.chunks[c].first + 1;
      stage.blocks.push_back(name_of_chunk(chain, graph, pipeline.chunks[c]));
    }
    report.stages.push_back(std::move(stage));
  }
  const PipelineForecast expected = forecast(pipeline, times);
  for (int s = 0; s < pipeline.stages; ++s)
    report.stages[at(s)].busy_seconds = expected.busy[at(s)];
  report.bubble = expected.bubble();
  report.seconds = step_seconds(graph, options, choice, times);
  return report;
}

double step_seconds(const Graph& graph, const RankOptions& options, const PipelineChoice& choice,
                    const PipelineTimes& times, const MachineModel& machine) {
  const Pipeline& pipeline = choice.pipeline;
  std::vector<double> parameters(at(pipeline.stages), 0), backward(at(pipeline.stages), 0);
  for (std::size_t c = 0; c < pipeline.chunks.size(); ++c) {
    const std::size_t s = at(pipeline.stage_of_chunk[c]);
    backward[s] += times.chunks[c].backward();
    for (OpId id = pipeline.chunks[c].first; id <= pipeline.chunks[c].last; ++id)
      for (ParameterId p : graph.op(id).parameters)
        parameters[s] += static_cast<double>(graph.parameter(p).elements());
  }
  const int replicas = options.replicas;
  // a gradient is read, the parameter and its slots are read and written
  const auto update_bytes =
      static_cast<double>((2 * optimizer_rule(options.optimizer).copies() - 1) * sizeof(float));
  const auto bucket_bytes = static_cast<double>(options.plan.bucket_bytes);
  double after = 0;  // the slowest stage's sums and update
  for (std::size_t s = 0; s < parameters.size(); ++s) {
    const double bytes = parameters[s] * sizeof(float),
                 share = 2.0 * (replicas - 1) / replicas * machine.seconds_per_byte;
    const double sums =
        std::max(std::min(bytes, bucket_bytes) * share, bytes * share - backward[s]);
    after = std::max(after, (replicas > 1 ? sums : 0) +
                                parameters[s] * update_bytes / machine.update_bytes_per_second);
  }
  return forecast(pipeline, times).seconds + after;
}

}  // namespace lockstep
