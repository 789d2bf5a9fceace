#include "coordinator/stages/pipeline_choice.h"

#include <algorithm>

#include "coordinator/plan/index.h"
#include "coordinator/stages/part_order.h"
#include "data/error.h"

namespace lockstep {

namespace {

constexpr double kSlack = 0.05;  // times are not known better: rather send less

/// What each chunk holds if all take the same time.
std::vector<int> usual_in_flight(const PipelineOptions& options, Pipeline pipeline) {
  const PipelineTimes even{.chunks = std::vector<PartTimes>(pipeline.stage_of_chunk.size()),
                           .transfer = {}};
  order_parts(options.schedule, even, pipeline);
  return most_in_flight(pipeline);
}

Partition cut(const ChainWeights& weights, const PipelineOptions& options,
              const Pipeline& pipeline) {
  const int chunks = options.schedule.chunks(options.stages);
  if (!options.cuts.empty()) return partition_by_hand(weights, options.cuts, chunks);
  PartitionOptions cuts{.chunks = chunks,
                        .in_flight = usual_in_flight(options, pipeline),
                        .stage_bytes = options.stage_bytes,
                        .seconds_per_byte = options.machine.seconds_per_byte,
                        .slack = kSlack};
  const auto solve = [&] {
    return options.schedule.fold ? partition_folded(weights, cuts)
                                 : partition(weights, cuts, options.schedule.chunks_per_stage);
  };
  if (cuts.stage_bytes == 0) return solve();
  try {
    return solve();
  } catch (const ConfigError&) {  // bytes are an estimate here: the plan's own decide
    cuts.stage_bytes = 0;
    return solve();
  }
}

/// Of a chunk's values those that another stage made.
double far_bytes(const ChainWeights& weights, const Partition& cut, const Pipeline& pipeline,
                 int chunk) {
  const auto chunk_of = [&](int block) {
    return static_cast<int>(std::ranges::upper_bound(cut.first, block) - cut.first.begin()) - 1;
  };
  double bytes = 0;
  for (const ChainWeights::Value& value : weights.values) {
    const int maker = pipeline.stage_of_chunk[at(chunk_of(value.made))];
    const bool reads =
        std::ranges::any_of(value.readers, [&](int r) { return chunk_of(r) == chunk; });
    if (reads && maker != pipeline.stage_of_chunk[at(chunk)]) bytes += value.bytes;
  }
  return bytes;
}

}  // namespace

PipelineChoice choose_pipeline(const Graph& graph, const ChainWeights& weights,
                               const PipelineOptions& options) {
  PipelineChoice choice;
  Pipeline& pipeline = choice.pipeline;
  pipeline.stages = options.stages;
  pipeline.micro_batches = options.micro_batches;
  pipeline.stage_of_chunk = place_chunks(options.schedule, options.stages);
  const Partition where = cut(weights, options, pipeline);
  const Chain chain = chain_of(graph, fuse(graph));
  const int chunks = static_cast<int>(where.first.size());
  for (int c = 0; c < chunks; ++c) {
    const int first = where.first[at(c)],
              last = (c + 1 < chunks ? where.first[at(c) + 1] : chain.size()) - 1;
    pipeline.chunks.push_back({chain.blocks[at(first)].first, chain.blocks[at(last)].last});
    choice.begins.push_back(weights.names[at(first)]);
    PartTimes& times = choice.times.chunks.emplace_back(0, 0, 0);
    for (int b = first; b <= last; ++b) times += weights.times[at(b)];
    choice.received_bytes.push_back(far_bytes(weights, where, pipeline, c));
    if (c > 0)
      choice.times.transfer.push_back(options.machine.seconds_per_byte *
                                      choice.received_bytes.back());
  }
  order_parts(options.schedule, choice.times, pipeline);
  return choice;
}

}  // namespace lockstep
