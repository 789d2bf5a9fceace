// Models become pipelines.
#include "coordinator/stages/pipeline_choice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/error.h"
#include "layers/model.h"

namespace lockstep {
namespace {

Graph net(const char* family, int depth = 20) {
  ModelOptions model{.family = family, .depth = depth};
  if (model.family == "unet") model.widths = {8, 16, 32, 64};
  return build_model(model, {3, 32, 32}, 10);
}

ChainWeights weights_of(const Graph& graph) {
  return chain_weights(graph, fuse(graph), Storage::kF32, 4, estimate_op_times(graph, 4));
}

double between_stages(const PipelineChoice& choice) {
  double bytes = 0;
  for (double received : choice.received_bytes) bytes += received;
  return bytes;
}

TEST(PipelineChoice, ChunksAreTheWholeGraphInOrderAndCutNoFusedNorm) {
  for (const char* family : {"resnet", "preact", "densenet", "unet"}) {
    const Graph graph = net(family, std::string(family) == "densenet" ? 40 : 20);
    const Fusion fusion = fuse(graph);
    for (const char* schedule : {"gpipe", "1f1b", "interleaved:2", "zero-bubble"})
      for (int stages : {1, 2, 3}) {
        const PipelineChoice choice = choose_pipeline(
            graph, weights_of(graph),
            {.stages = stages, .micro_batches = 4, .schedule = parse_pipeline_schedule(schedule)});
        OpId next = 0;
        for (const OpRange& chunk : choice.pipeline.chunks) {
          EXPECT_EQ(chunk.first, next);
          next = chunk.last + 1;
          for (const FusedNorm& norm : fusion.groups)
            EXPECT_FALSE(norm.norm <= chunk.last && norm.last > chunk.last)
                << graph.op(chunk.last).name;
        }
        EXPECT_EQ(next, static_cast<OpId>(graph.ops().size()));
      }
  }
}

TEST(PipelineChoice, StagesOfAResNetTakeAboutTheSameTime) {
  const Graph graph = net("resnet", 56);
  const PipelineChoice choice =
      choose_pipeline(graph, weights_of(graph), {.stages = 4, .micro_batches = 8, .schedule = {}});
  double least = 1e9, most = 0;
  for (const PartTimes& times : choice.times.chunks) {
    least = std::min(least, times.forward + times.backward());
    most = std::max(most, times.forward + times.backward());
  }
  EXPECT_LT(most, 1.2 * least);
}

TEST(PipelineChoice, FoldedUNetSendsAFifthOfTheLinearCut) {
  ModelOptions model{.family = "unet"};
  model.widths = {64, 128, 256, 512, 1024};
  const Graph graph = build_model(model, {3, 96, 128}, 12);
  const auto bytes = [&](bool fold) {
    return between_stages(choose_pipeline(
        graph, weights_of(graph),
        {.stages = 2, .micro_batches = 4, .schedule = parse_pipeline_schedule("1f1b", fold)}));
  };
  EXPECT_LE(bytes(true), 0.2 * bytes(false));
}

TEST(PipelineChoice, LessMemoryMovesTheCut) {
  const Graph graph = net("resnet", 56);
  const ChainWeights weights = weights_of(graph);
  PipelineOptions options{
      .stages = 2, .micro_batches = 4, .schedule = parse_pipeline_schedule("1f1b")};
  const PipelineChoice free = choose_pipeline(graph, weights, options);
  const Chain chain = chain_of(graph, fuse(graph));
  for (int b = 0; b < chain.size() &&
                  chain.blocks[static_cast<std::size_t>(b)].last <= free.pipeline.chunks[0].last;
       ++b)
    options.stage_bytes += 2 * weights.kept_bytes[static_cast<std::size_t>(b)];
  options.stage_bytes *= 0.9;
  // The first stage holds two micro-batches of large pictures: it gives some blocks away.
  const PipelineChoice tight = choose_pipeline(graph, weights, options);
  EXPECT_LT(tight.pipeline.chunks[0].last, free.pipeline.chunks[0].last);
  options.stage_bytes = 1;  // what nothing fits is for the plan to refuse, not for an estimate
  EXPECT_EQ(choose_pipeline(graph, weights, options).pipeline.chunks, free.pipeline.chunks);
}

TEST(PipelineChoice, CutsByHand) {
  const Graph graph = net("resnet");
  PipelineOptions options{
      .stages = 2, .micro_batches = 2, .schedule = {}, .cuts = {"group2.block1"}};
  const PipelineChoice choice = choose_pipeline(graph, weights_of(graph), options);
  EXPECT_EQ(choice.begins[1], "group2.block1");
  EXPECT_TRUE(graph.op(choice.pipeline.chunks[1].first).name.starts_with("group2.block1"));
  options.cuts = {"group2.blok1"};
  EXPECT_THROW(choose_pipeline(graph, weights_of(graph), options), ConfigError);
}

}  // namespace
}  // namespace lockstep
