#include "coordinator/plan/memory_report.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/plan/planner.h"
#include "coordinator/plan/report_text.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/layout.h"
#include "layers/model.h"

namespace lockstep {
namespace {

struct Planned {
  explicit Planned(int lanes = 2, int images = 6)
      : graph(build_model({.family = "custom", .counts = {1, 1}, .widths = {16, 32}}, {3, 16, 16},
                          10)),
        layout(choose_layout(graph, cpu::preferred_block())),
        backend(graph, {.layout = layout}),
        train(plan(true, lanes, images)),
        eval(plan(false, lanes, images)) {}

  Plan plan(bool training, int lanes, int images) const {
    return make_plan(graph, backend,
                     {.training = training,
                      .batch_statistics = training,
                      .lanes = lanes,
                      .max_images = images,
                      .layout = layout,
                      .bucket_bytes = 16 << 10});
  }

  Graph graph;
  LayoutKind layout;
  cpu::CpuBackend backend;
  Plan train, eval;
};

std::size_t sum(const std::vector<MemoryPart>& parts) {
  std::size_t bytes = 0;
  for (const MemoryPart& part : parts) bytes += part.bytes;
  return bytes;
}

const MemoryGroup& group_of(const std::vector<MemoryGroup>& groups, const std::string& name) {
  return *std::ranges::find_if(groups,
                               [&](const MemoryGroup& g) { return g.name.rfind(name, 0) == 0; });
}

/// A plan of three phases by hand: buffers a (100 bytes, whole plan), b (40, first), c (60, last).
Plan small_plan() {
  Plan plan;
  plan.calls.resize(3);
  for (int c = 0; c < 3; ++c)
    plan.items.push_back({Phase{.kind = PhaseKind::kSerial, .calls = {c}}});
  plan.buffers = {
      {.name = "a", .bytes = 100, .first_call = 0, .last_call = 2},
      {.name = "b", .kind = BufferKind::kWorkspace, .bytes = 40, .first_call = 0, .last_call = 0},
      {.name = "c", .kind = BufferKind::kWorkspace, .bytes = 60, .first_call = 2, .last_call = 2},
      {.name = "w",
       .segment = Segment::kParameters,
       .bytes = 999,
       .first_call = 0,
       .last_call = 2}};
  plan.arena_bytes = 256;
  return plan;
}

TEST(ArenaPeak, IsWhereTheMostLives) {
  const ArenaPeak peak = arena_peak(small_plan());
  EXPECT_EQ(peak.call, 2);
  ASSERT_EQ(peak.live.size(), 2u);
  EXPECT_EQ(peak.live[0].name, "activations");
  EXPECT_EQ(peak.live[0].bytes, 100u);
  EXPECT_EQ(peak.live[1].name, "workspace");
  EXPECT_EQ(peak.live[1].bytes, 60u);
  EXPECT_EQ(peak.gaps, 96u);
}

TEST(ArenaPeak, LanesDriftApartBetweenBarriers) {
  Plan plan = small_plan();
  for (PlanItem& item : plan.items) std::get<Phase>(item.what).kind = PhaseKind::kLanes;
  const ArenaPeak peak = arena_peak(plan);  // no barrier: all three live at once
  EXPECT_EQ(peak.call, 0);
  EXPECT_EQ(sum(peak.live), 200u);
}

TEST(ArenaPeak, APinnedBufferLivesAlways) {
  Plan plan = small_plan();
  plan.buffers[1].pinned = true;
  EXPECT_EQ(sum(arena_peak(plan).live), 200u);
}

TEST(ArenaPeak, OfARealPlanFillsTheArena) {
  for (const int lanes : {1, 3}) {
    const Planned planned(lanes);
    for (const Plan* plan : {&planned.train, &planned.eval}) {
      const ArenaPeak peak = arena_peak(*plan);
      EXPECT_EQ(sum(peak.live) + peak.gaps, plan->arena_bytes);
      EXPECT_LT(peak.gaps, plan->arena_bytes / 4);
      std::size_t largest = 0;  // the arena is never smaller than a buffer
      for (const Buffer& b : plan->buffers)
        if (b.segment == Segment::kArena && b.parent == kNone && b.first_call >= 0)
          largest = std::max(largest, b.bytes);
      EXPECT_GE(sum(peak.live), largest);
    }
  }
}

TEST(RankMemory, PartsSumToGroupsAndTheTotal) {
  Planned planned;
  const auto groups =
      rank_memory(planned.graph, planned.train, planned.eval, planned.backend,
                  {.workers = 2, .prefetch = 1, .validates = false, .dataset_bytes = 1000});
  std::size_t total = 0;
  for (const MemoryGroup& group : groups) {
    EXPECT_EQ(group.bytes(), sum(group.parts)) << group.name;
    total += group.bytes();
  }
  EXPECT_EQ(total_bytes(groups), total);
  EXPECT_EQ(group_of(groups, "arena").bytes(),
            std::max(planned.train.arena_bytes, planned.eval.arena_bytes));
  const std::size_t segment = parameter_offsets(planned.graph).back() * sizeof(float);
  EXPECT_EQ(group_of(groups, "model state").bytes(),
            3 * segment + statistic_offsets(planned.graph).back() * sizeof(float));
  // (prefetch + 1) batches of 6 images of 3 x 16 x 16 floats with a label, and the samples.
  EXPECT_EQ(group_of(groups, "data").bytes(), 2u * 6 * (3 * 16 * 16 + 1) * 4 + 1000);
}

TEST(RankMemory, ASnapshotIsSharedAmongRanks) {
  Planned planned;
  std::size_t floats = 0;
  for (const Parameter& p : planned.graph.parameters())
    floats += 2 * static_cast<std::size_t>(p.elements());
  for (const Statistic& s : planned.graph.statistics())
    floats += static_cast<std::size_t>(s.channels);
  const auto snapshot = [&](int ranks) {
    return group_of(rank_memory(planned.graph, planned.train, planned.eval, planned.backend,
                                {.workers = ranks}),
                    "checkpoint")
        .bytes();
  };
  EXPECT_EQ(snapshot(1), floats * sizeof(float));
  EXPECT_GE(snapshot(2), floats * sizeof(float) / 2);
  EXPECT_LT(snapshot(2), floats * sizeof(float));
}

TEST(RankMemory, OneRankNeedsNoMemoryForMessages) {
  Planned planned;
  const auto communication = [&](int ranks) {
    return group_of(rank_memory(planned.graph, planned.train, planned.eval, planned.backend,
                                {.workers = ranks}),
                    "communication")
        .bytes();
  };
  EXPECT_EQ(communication(1), 0u);
  EXPECT_GT(communication(2), 0u);
}

TEST(LaneScratch, IsThatOfTheHungriestKernel) {
  Planned planned;
  EXPECT_GT(lane_scratch_bytes(planned.train, planned.backend),
            lane_scratch_bytes(planned.eval, planned.backend));
}

TEST(StepTraffic, CountsGradientsAndSums) {
  const Planned planned;
  const Traffic traffic = step_traffic(planned.train, 4, 3);
  std::size_t floats = 0;
  for (const Bucket& bucket : planned.train.buckets) floats += bucket.count;
  EXPECT_GT(traffic.bucket_bytes.size(), 1u);
  EXPECT_EQ(traffic.gradient_bytes(), floats * sizeof(float));
  EXPECT_EQ(floats, parameter_offsets(planned.graph).back());
  EXPECT_NEAR(static_cast<double>(traffic.gradient_bytes_sent),
              1.5 * static_cast<double>(traffic.gradient_bytes()), 16);
  // Forward and backward of each batch norm: sum, sum of squares per channel, and a count.
  std::size_t sums = 0;
  for (const Op& op : planned.graph.ops())
    if (std::holds_alternative<BatchNorm>(op.attributes))
      sums += 2 *
              (2 * static_cast<std::size_t>(planned.graph.value(op.output).shape.channels) + 1) *
              sizeof(double);
  EXPECT_EQ(traffic.sync_bytes, 3 * sums);
  EXPECT_EQ(traffic.sync_bytes_sent, 2 * traffic.sync_bytes);  // to 2 partners out of 4 ranks
  EXPECT_EQ(traffic.sync_messages % 3, 0);
  EXPECT_EQ(traffic.loss_bytes, 4 * sizeof(double));
}

TEST(StepTraffic, OneRankSendsNothing) {
  const Planned planned;
  const Traffic traffic = step_traffic(planned.train, 1, 1);
  EXPECT_EQ(traffic.gradient_bytes_sent, 0u);
  EXPECT_EQ(traffic.sync_bytes_sent, 0u);
}

TEST(ReportText, NumbersAreReadable) {
  EXPECT_EQ(in_units(0), "0 B");
  EXPECT_EQ(in_units(999), "999 B");
  EXPECT_EQ(in_units(1536), "1.50 KiB");
  EXPECT_EQ(in_units(std::size_t{25} << 20), "25.0 MiB");
  EXPECT_EQ(with_commas(7), "7");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
  EXPECT_EQ(columns({{"a", "1"}, {"long", "22"}}, 1), " a      1\n long  22\n");
}

TEST(ReportText, PhasesNameEveryCallAndMessage) {
  const Planned planned;
  const std::string text = phases_text(planned.train, planned.graph);
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n'));
  EXPECT_EQ(lines, planned.train.items.size() + planned.train.calls.size());
  EXPECT_NE(text.find("forward  group1.block0.conv1  by "), std::string::npos);
  EXPECT_NE(text.find("message  bucket0: start to sum "), std::string::npos);
  EXPECT_NE(text.find("message  gradients: wait for all buckets, once a step"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
