// What travels between stages, and the plans of single stages, without MPI.
#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/plan/planner.h"
#include "coordinator/plan/report_text.h"
#include "coordinator/plan/stage_messages.h"
#include "data/error.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/model.h"
#include "tests/coordinator/pipelines.h"
#include "tests/coordinator/plan_run.h"

namespace lockstep {
namespace {

using What = StageMessage::What;

Graph resnet() {
  return build_model({.family = "custom", .counts = {2, 2}, .widths = {16, 32}}, {3, 16, 16}, 10);
}
Graph unet() { return build_model({.family = "unet", .widths = {8, 16, 32}}, {3, 16, 16}, 10); }

Plan plan_of(const Graph& graph, const Pipeline& pipeline, int stage, bool training = true,
             const Recomputation& recompute = {}) {
  PlanOptions options{.training = training,
                      .batch_statistics = training,
                      .lanes = 2,
                      .max_images = 3,
                      .bucket_bytes = 16 << 10};
  options.pipeline = training ? pipeline : forward_only(pipeline);
  options.stage = stage;
  options.recompute = recompute;
  const cpu::CpuBackend backend(graph, {.owned = owned_tensors(graph, options)});
  return make_plan(graph, backend, options);
}

std::string error_of(const Graph& graph, const Pipeline& pipeline) {
  try {
    stage_messages(graph, pipeline);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

TEST(StageMessages, GoForwardAndBack) {
  const Graph graph = resnet();
  const Pipeline p = gpipe(linear_pipeline(graph, 2, 3));
  const auto messages = stage_messages(graph, p);
  ASSERT_EQ(messages.size(), 9u);  // for each micro-batch the cut's value, its gradient, the labels
  for (const StageMessage& m : messages) {
    EXPECT_EQ(m.from, m.what == What::kGradient ? 1 : 0);
    EXPECT_EQ(m.to, 1 - m.from);
    // Backward of stage 0 begins when stage 1 has run a backward, and so has all values; of stage 1
    // nothing waits for stage 0 again, so its sends are waited for two parts later.
    EXPECT_EQ(m.arrived_before, m.from == 0 ? 3 : std::min(m.sent_in + 2, 6));
  }
}

TEST(StageMessages, SkipsGoStraightToTheirReaders) {
  const Graph graph = unet();
  const auto messages = stage_messages(graph, gpipe(linear_pipeline(graph, 3, 1)));
  const auto between = [&](int from, int to, What what) {
    return std::ranges::count_if(messages, [&](const StageMessage& m) {
      return m.from == from && m.to == to && m.what == what;
    });
  };
  EXPECT_GE(between(0, 2, What::kValue), 1);
  EXPECT_EQ(between(0, 2, What::kValue), between(2, 0, What::kGradient));
  for (const StageMessage& m : messages) {
    if (m.what != What::kValue || m.from != 1) continue;
    const OpId maker = graph.value(m.value).producer;
    const Pipeline p = linear_pipeline(graph, 3, 1);
    EXPECT_GE(maker, p.chunks[1].first);  // nothing is relayed
  }
}

TEST(StageMessages, ReleaseAGradientWhenTheNextMicroBatchComes) {
  const Graph graph = resnet();
  for (const StageMessage& m : stage_messages(graph, one_f_one_b(linear_pipeline(graph, 2, 4))))
    if (m.what == What::kGradient && m.micro_batch == 0) {
      // Stage 1: F0 B0 F1 B1 F2 ...; stage 0: F0 F1 B0 F2 ...: F2 of stage 1 needs B0 of stage 0.
      EXPECT_EQ(m.arrived_before, 4);
    }
}

TEST(StageMessages, RefuseStagesThatWaitForEachOther) {
  const Graph graph = resnet();
  Pipeline p = gpipe(linear_pipeline(graph, 2, 2));
  p.order[0] = {{PartKind::kForward, 0, 0},
                {PartKind::kBackward, 0, 0},
                {PartKind::kForward, 0, 1},
                {PartKind::kBackward, 0, 1}};
  const std::string error = error_of(graph, p);
  EXPECT_NE(error.find("\"backward of chunk 0, micro-batch 0\" waits for the gradient of "),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("\"forward of chunk 1, micro-batch 1\" waits for the value "),
            std::string::npos)
      << error;
}

TEST(StageMessages, RefuseOrdersThatLackAPart) {
  const Graph graph = resnet();
  Pipeline p = gpipe(linear_pipeline(graph, 2, 2));
  p.order[1].pop_back();
  EXPECT_NE(
      error_of(graph, p).find("stage 1 lacks the part \"backward of chunk 1, micro-batch 1\""),
      std::string::npos);
}

TEST(StagePlan, RefusesACutInsideAFusedNorm) {
  const Graph graph = resnet();
  Pipeline p = linear_pipeline(graph, 2, 1);
  const Fusion fusion = fuse(graph);
  p.chunks[0].last = fusion.groups.front().norm;
  p.chunks[1].first = p.chunks[0].last + 1;
  EXPECT_THROW(plan_of(graph, gpipe(p), 0), ConfigError);
}

TEST(StagePlan, KeepsEveryByteUntilItIsRead) {
  for (const Graph& graph : {resnet(), unet()}) {
    const Pipeline linear = linear_pipeline(graph, 3, 4);
    for (const Pipeline& p :
         {gpipe(linear), one_f_one_b(linear), split_backward(one_f_one_b(linear)),
          gpipe(two_chunk_pipeline(graph, 2, 3, false)),
          gpipe(two_chunk_pipeline(graph, 2, 3, true))})
      for (const bool training : {true, false}) {
        std::vector<std::vector<StageAction>> actions;
        for (int stage = 0; stage < p.stages; ++stage) {
          const Plan plan = plan_of(graph, p, stage, training);
          actions.push_back(stage_actions(plan));
          PlanRun run(plan);
          for (int images : {3, 1, 3}) run.micro_batch(images);
          EXPECT_EQ(run.faults(), std::set<std::string>{});
          EXPECT_TRUE(run.holds(plan.loss_sums));
        }
        EXPECT_NO_THROW(check_messages(actions));
      }
  }
}

TEST(StagePlan, HoldsFewerMicroBatchesWithOneForwardOneBackward) {
  const Graph graph = resnet();
  const Pipeline linear = linear_pipeline(graph, 2, 8);
  const auto bytes = [&](const Pipeline& p) { return plan_of(graph, p, 0).arena_bytes; };
  EXPECT_LT(bytes(one_f_one_b(linear)), bytes(gpipe(linear)) / 2);  // 2 of 8 in flight
}

TEST(StagePlan, RecomputationSavesMemory) {
  const Graph graph =
      build_model({.family = "custom", .counts = {8, 8}, .widths = {16, 32}}, {3, 16, 16}, 10);
  const Recomputation recompute = recompute_every(chain_of(graph, fuse(graph)), 2);
  const Pipeline p = gpipe(linear_pipeline(graph, 2, 4));
  for (int stage : {0, 1})
    EXPECT_LT(plan_of(graph, p, stage, true, recompute).arena_bytes,
              plan_of(graph, p, stage).arena_bytes * 2 / 3);
}

/// Phases that only replay, right before a gradient's arrival is waited for, over all arrivals.
int replays_while_gradients_travel(const Plan& plan) {
  int all = 0, replays = 0;
  for (const PlanItem& item : plan.items) {
    if (const auto* message = std::get_if<Message>(&item.what)) {
      if (message->kind == MessageKind::kFinishReceive && message->name.starts_with("gradient"))
        all += std::exchange(replays, 0);
      continue;
    }
    const auto& calls = std::get<Phase>(item.what).calls;
    const bool replay = std::ranges::all_of(calls, [&](int call) {
      const Call& c = plan.calls[static_cast<std::size_t>(call)];
      return c.replay || c.kind == CallKind::kPackWeights;
    });
    replays = replay ? replays + 1 : 0;
  }
  return all;
}

TEST(StagePlan, ReplaysWhileTheGradientIsOnItsWay) {
  const Graph graph =
      build_model({.family = "custom", .counts = {8, 8}, .widths = {16, 32}}, {3, 16, 16}, 10);
  const Recomputation recompute = recompute_every(chain_of(graph, fuse(graph)), 2);
  const Pipeline p = one_f_one_b(linear_pipeline(graph, 2, 4));
  EXPECT_GE(replays_while_gradients_travel(plan_of(graph, p, 0, true, recompute)), 4);
  EXPECT_EQ(replays_while_gradients_travel(plan_of(graph, p, 0)), 0);
}

TEST(StagePlan, EvaluationHoldsFewMicroBatches) {
  const Graph graph = unet();
  const auto bytes = [&](int micro_batches) {
    return plan_of(graph, gpipe(linear_pipeline(graph, 2, micro_batches)), 0, false).arena_bytes;
  };
  EXPECT_EQ(bytes(16), bytes(8));
}

TEST(StagePlan, PhasesNameMessagesAndMicroBatches) {
  const Graph graph = resnet();
  const std::string text =
      phases_text(plan_of(graph, gpipe(linear_pipeline(graph, 2, 2)), 1), graph);
  for (const char* part :
       {"labels, micro-batch 1, from stage 0 to 1: start to receive 4 B/image from stage 0",
        "from stage 0 to 1: wait until it is here", "from stage 1 to 0: wait until it is sent",
        "gradient norm: sum ", "loss of all stages: ", "  micro-batch 1: "})
    EXPECT_NE(text.find(part), std::string::npos) << part;
}

TEST(StagePlan, SharesTheModel) {
  const Graph graph = resnet();
  PlanOptions options{.pipeline = gpipe(linear_pipeline(graph, 3, 1))};
  std::size_t floats = 0;
  for (options.stage = 0; options.stage < 3; ++options.stage)
    floats += parameter_offsets(graph, owned_tensors(graph, options)).back();
  EXPECT_EQ(floats, parameter_offsets(graph).back());
}

}  // namespace
}  // namespace lockstep
