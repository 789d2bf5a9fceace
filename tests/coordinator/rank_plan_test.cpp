#include "coordinator/plan/rank_plan.h"

#include <gtest/gtest.h>

#include "coordinator/stages/pipeline_report.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/model.h"

namespace lockstep {
namespace {

class RankPlanTest : public testing::Test {
 protected:
  static std::size_t part(const RankPlan& rank, const std::string& name) {
    for (const MemoryGroup& group : memory_of(rank))
      for (const MemoryPart& part : group.parts)
        if (part.name == name) return part.bytes;
    return 0;
  }
  RankOptions options(int replicas) const {
    const PlanOptions step{
        .lanes = 2, .max_images = 8, .layout = cpu::best_layout(graph_), .recompute = {}};
    return {.plan = step, .replicas = replicas};
  }

  Graph graph_ = build_model({.family = "resnet", .depth = 8}, {3, 32, 32}, 10);
};

TEST_F(RankPlanTest, CountsTheMemoryOfSumsByTheTable) {
  RankOptions two = options(2);
  const RankPlan usual = plan_rank(graph_, two);
  two.all_reduce.table.rows = {
      {SumKind::kGradients, AllReduceTable::kNoEnd, SumMethod::kHalvingDoubling}};
  const RankPlan measured = plan_rank(graph_, two);
  std::size_t bytes = 0;
  for (const Bucket& bucket : measured.train.buckets)
    bytes += async_scratch_bytes(bucket.count, 2, two.all_reduce);
  EXPECT_EQ(part(measured, "segments of gradients"), bytes);
  EXPECT_NE(part(usual, "segments of gradients"), bytes);
}

TEST_F(RankPlanTest, CountsWhatIsSentOverAllMicroBatches) {
  RankOptions pieces = options(2);
  pieces.micro_batches = 3;
  EXPECT_EQ(plan_rank(graph_, pieces).traffic.sync_bytes,
            3 * plan_rank(graph_, options(2)).traffic.sync_bytes);
}

TEST_F(RankPlanTest, ALaterStageLoadsNothing) {
  RankOptions stage = options(1);
  const PlanOptions& step = stage.plan;
  const OpTimes times = estimate_op_times(graph_, step.max_images);
  const PipelineOptions two{.stages = 2, .micro_batches = 2, .schedule = {}, .cuts = {}};
  const PipelineChoice choice = choose_pipeline(
      graph_, chain_weights(graph_, fuse(graph_), step.activations, step.max_images, times), two);
  const RankPlan first = plan_rank(graph_, stage_options(stage, choice.pipeline, 0)),
                 second = plan_rank(graph_, stage_options(stage, choice.pipeline, 1));
  EXPECT_GT(part(first, "training batches"), 0u);
  EXPECT_EQ(part(second, "training batches"), 0u);
  EXPECT_LT(part(first, "parameters"), part(plan_rank(graph_, stage), "parameters"));
}

TEST_F(RankPlanTest, TheLastBucketIsWhatASumTakesBeyondBackward) {
  RankOptions two = options(2);
  const OpTimes times = estimate_op_times(graph_, two.plan.max_images);
  const PipelineChoice choice = choose_pipeline(
      graph_, chain_weights(graph_, fuse(graph_), Storage::kF32, two.plan.max_images, times), {});
  const auto seconds = [&](std::size_t bucket_bytes) {
    two.plan.bucket_bytes = bucket_bytes;
    return step_seconds(graph_, two, choice, choice.times);
  };
  const MachineModel machine;
  EXPECT_NEAR(seconds(96 << 10) - seconds(64 << 10), (32 << 10) * machine.seconds_per_byte, 1e-12);
}

}  // namespace
}  // namespace lockstep
