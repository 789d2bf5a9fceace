// The passes from graph to plan: what is fused, which statistics share a message, what is reduced.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "coordinator/bench/step_bench.h"
#include "coordinator/plan/buckets.h"
#include "coordinator/plan/fuse.h"
#include "coordinator/plan/planner.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/layout.h"
#include "layers/model.h"
#include "tests/coordinator/pipelines.h"

namespace lockstep {
namespace {

Graph small_graph(const ModelOptions& base = {}) {
  ModelOptions model = base;
  model.family = "custom";
  model.counts = {1, 1};
  model.widths = {16, 32};
  return build_model(model, {3, 8, 8}, 10);
}

Plan plan_of(const Graph& graph, PlanOptions options = {}) {
  options.max_images = std::max(options.max_images, 4);
  const cpu::CpuBackend backend(graph, {.layout = options.layout});
  return make_plan(graph, backend, options);
}

OpId op_named(const Graph& graph, const std::string& name) {
  for (std::size_t i = 0; i < graph.ops().size(); ++i)
    if (graph.ops()[i].name == name) return static_cast<OpId>(i);
  ADD_FAILURE() << "no op " << name;
  return 0;
}

const FusedNorm& group_of(const Fusion& fusion, OpId op) {
  return fusion.groups.at(static_cast<std::size_t>(fusion.group_of[static_cast<std::size_t>(op)]));
}

TEST(Fuse, TakesTheAddAndTheRelu) {
  const Graph graph = small_graph();
  const Fusion fusion = fuse(graph);
  const OpId stem = op_named(graph, "stem.norm"), main = op_named(graph, "group2.block0.norm2"),
             side = op_named(graph, "group2.block0.shortcut.norm");
  EXPECT_EQ(group_of(fusion, stem).add, kNone);
  EXPECT_NE(group_of(fusion, stem).relu, kNone);
  // The add goes to one of the two norms; the other's output is its residual.
  const FusedNorm &a = group_of(fusion, main), &b = group_of(fusion, side);
  EXPECT_NE(a.add == kNone, b.add == kNone);
  const FusedNorm &with = a.add == kNone ? b : a, &without = a.add == kNone ? a : b;
  EXPECT_EQ(with.residual, without.output);
  EXPECT_NE(with.relu, kNone);
  EXPECT_EQ(without.relu, kNone);
  EXPECT_EQ(with.last, with.relu);
}

TEST(Fuse, LeavesWhatOthersRead) {
  Graph graph(Shape{16, 4, 4});
  const ValueId norm = graph.add("norm", BatchNorm{}, {graph.input()});
  const ValueId relu = graph.add("relu", Activation{}, {norm});
  graph.add("sum", Add{}, {relu, norm});  // reads the norm itself, too
  const Fusion fusion = fuse(graph);
  ASSERT_EQ(fusion.groups.size(), 1u);
  EXPECT_EQ(fusion.groups[0].output, norm);
  EXPECT_EQ(fusion.groups[0].last, 0);
  EXPECT_EQ(fusion.group_of[1], kNone);
  EXPECT_EQ(fusion.group_of[2], kNone);
}

TEST(Fuse, LeavesOtherActivations) {
  Graph graph(Shape{16, 4, 4});
  const ValueId norm = graph.add("norm", BatchNorm{}, {graph.input()});
  graph.add("gelu", Activation{.kind = ActivationKind::kGelu}, {norm});
  EXPECT_EQ(fuse(graph).groups[0].relu, kNone);
}

/// The message whose sums have a part of this name.
BufferId message_of(const Plan& plan, const std::string& part) {
  for (const Buffer& b : plan.buffers)
    if (b.name == part) return b.parent;
  ADD_FAILURE() << "no buffer " << part;
  return kNone;
}

int messages(const Plan& plan, MessageKind kind) {
  return static_cast<int>(std::ranges::count_if(plan.items, [&](const PlanItem& item) {
    const auto* message = std::get_if<Message>(&item.what);
    return message && message->kind == kind;
  }));
}

TEST(Levels, ProjectionsShareTheMainPathsMessages) {
  const Plan plan = plan_of(small_graph());
  const std::string block = "group2.block0.";
  EXPECT_EQ(message_of(plan, block + "shortcut.norm.sums"), message_of(plan, block + "norm1.sums"));
  EXPECT_EQ(message_of(plan, block + "shortcut.norm.backward_sums"),
            message_of(plan, block + "norm2.backward_sums"));
  EXPECT_NE(message_of(plan, block + "norm1.sums"), message_of(plan, block + "norm2.sums"));
  // Norms one after another: stem, two in each block; forward and backward; then the loss.
  EXPECT_EQ(messages(plan, MessageKind::kAllReduceSums), 5 + 5 + 1);
}

TEST(Levels, NothingIsSentWithoutSyncBatchNorm) {
  EXPECT_EQ(messages(plan_of(small_graph(), {.sync_bn = false}), MessageKind::kAllReduceSums), 1);
  ModelOptions group;
  group.norm = "group";
  group.norm_groups = 4;
  EXPECT_EQ(messages(plan_of(small_graph(group)), MessageKind::kAllReduceSums), 1);
  EXPECT_EQ(messages(plan_of(small_graph(), {.training = false, .batch_statistics = false}),
                     MessageKind::kAllReduceSums),
            1);
}

TEST(Buckets, CoverAllParametersOnce) {
  const Graph graph = small_graph();
  const auto offsets = parameter_offsets(graph);
  std::vector<int> level(graph.parameters().size());
  for (std::size_t p = 0; p < level.size(); ++p) level[p] = static_cast<int>(p * 7 % 5);
  for (std::size_t bytes : {std::size_t{64}, std::size_t{9000}, std::size_t{1} << 30}) {
    const BucketPlan plan = make_buckets(graph, level, bytes);
    std::size_t end = offsets.back();
    for (const Bucket& bucket : plan.buckets) {  // from the last parameter to the first
      EXPECT_EQ(bucket.begin + bucket.count, end);
      end = bucket.begin;
    }
    EXPECT_EQ(end, 0u);
    for (std::size_t p = 0; p < level.size(); ++p) {
      const auto b = static_cast<std::size_t>(plan.of_parameter[p]);
      EXPECT_GE(offsets[p], plan.buckets[b].begin);
      EXPECT_LE(offsets[p + 1], plan.buckets[b].begin + plan.buckets[b].count);
      EXPECT_GE(plan.ready_level[b], level[p]);
      const bool alone = plan.buckets[b].count == offsets[p + 1] - offsets[p];
      EXPECT_TRUE(alone || plan.buckets[b].count * sizeof(float) <= bytes);
    }
  }
}

/// Each bucket is reduced once, after all that writes its gradients and before what reads them.
TEST(Buckets, AreReducedWhenTheirGradientsAreThere) {
  const Plan plan = plan_of(small_graph(), {.bucket_bytes = 8 << 10});
  ASSERT_GT(plan.buckets.size(), 3u);
  std::vector<int> started(plan.buckets.size(), 0);
  bool finished = false;
  auto writes = [&](BufferId id) {
    if (id == kNone) return;
    const Buffer& buffer = plan.buffer(id);
    for (std::size_t b = 0; b < plan.buckets.size(); ++b) {
      const std::size_t at = buffer.offset / sizeof(float);
      if (at >= plan.buckets[b].begin && at < plan.buckets[b].begin + plan.buckets[b].count) {
        EXPECT_EQ(started[b], 0) << buffer.name;
      }
    }
  };
  for (const PlanItem& item : plan.items) {
    if (const auto* message = std::get_if<Message>(&item.what)) {
      if (message->kind == MessageKind::kStartReduce)
        ++started[static_cast<std::size_t>(message->bucket)];
      finished |= message->kind == MessageKind::kFinishReduce;
      EXPECT_TRUE(item.last_micro_batch_only || message->kind == MessageKind::kAllReduceSums);
      continue;
    }
    for (int c : std::get<Phase>(item.what).calls) {
      const Call& call = plan.calls[static_cast<std::size_t>(c)];
      if (call.kind == CallKind::kGradientNorm || call.kind == CallKind::kUpdate) {
        EXPECT_TRUE(finished && item.last_micro_batch_only);
        continue;
      }
      writes(call.buffer(Role::kGradient));
      writes(call.buffer(Role::kBiasGradient));
    }
  }
  EXPECT_TRUE(std::ranges::all_of(started, [](int times) { return times == 1; }));
}

/// Levels let every call run after what it reads was made.
/// A bucket may end between the weights and the bias of one op.
TEST(Buckets, AreSentWithTheBiasesInThem) {
  const Graph graph = build_model({.family = "custom",
                                   .block = "bottleneck",
                                   .se_reduction = 4,
                                   .counts = {2, 2},
                                   .widths = {16, 32}},
                                  {3, 8, 8}, 10);
  for (const std::size_t bytes : {1 << 10, 4 << 10, 16 << 10}) {
    const Plan plan = plan_of(graph, {.bucket_bytes = bytes});
    std::vector<bool> sent(plan.buckets.size(), false);
    for (const PlanItem& item : plan.items) {
      if (const auto* message = std::get_if<Message>(&item.what)) {
        if (message->kind == MessageKind::kStartReduce)
          sent[static_cast<std::size_t>(message->bucket)] = true;
        continue;
      }
      for (const int c : std::get<Phase>(item.what).calls) {
        const Call& call = plan.calls[static_cast<std::size_t>(c)];
        if (call.kind != CallKind::kFoldGradient) continue;
        for (const Operand& o : call.operands) {
          if (o.role != Role::kGradient && o.role != Role::kBiasGradient) continue;
          const std::size_t at = plan.buffer(o.buffer).offset / sizeof(float);
          for (std::size_t b = 0; b < plan.buckets.size(); ++b) {
            const bool inside =
                at >= plan.buckets[b].begin && at < plan.buckets[b].begin + plan.buckets[b].count;
            EXPECT_FALSE(inside && sent[b])
                << plan.buffer(o.buffer).name << ", buckets of " << bytes;
          }
        }
      }
    }
  }
}

TEST(Schedule, EveryCallRunsOnceAndInItsPhase) {
  const Plan plan = plan_of(small_graph(), {.lanes = 3});
  std::vector<int> runs(plan.calls.size(), 0);
  int last = -1;
  for (const PlanItem& item : plan.items) {
    const auto* phase = std::get_if<Phase>(&item.what);
    if (!phase) continue;
    for (int c : phase->calls) {
      EXPECT_GT(c, last);
      last = c;
      ++runs[static_cast<std::size_t>(c)];
      const bool lanes = phase->kind == PhaseKind::kLanes;
      const int piece = plan.calls[static_cast<std::size_t>(c)].chunk_images;
      EXPECT_EQ(lanes ? phase->chunk_images % piece : 0, 0);
    }
  }
  EXPECT_TRUE(std::ranges::all_of(runs, [](int times) { return times == 1; }));
}

TEST(Plan, IsTheSameOnRanksWithOtherImages) {
  const Graph graph = small_graph();
  EXPECT_EQ(plan_hash(plan_of(graph, {.max_images = 5})),
            plan_hash(plan_of(graph, {.max_images = 9})));
  EXPECT_EQ(plan_hash(plan_of(graph, {.lanes = 1})), plan_hash(plan_of(graph, {.lanes = 4})));
  EXPECT_NE(plan_hash(plan_of(graph)), plan_hash(plan_of(graph, {.bucket_bytes = 4 << 10})));
  EXPECT_NE(plan_hash(plan_of(graph)), plan_hash(plan_of(graph, {.sync_bn = false})));
}

/// Prints how long planning takes: a plan of a thousand blocks must not be felt.
TEST(Plan, OfDeepNets) {
  for (int depth : {110, 2000}) {
    const Graph graph = build_model({.depth = depth}, {3, 32, 32}, 10);
    const cpu::CpuBackend backend(graph, {});
    const auto begin = std::chrono::steady_clock::now();
    const Plan plan = make_plan(graph, backend, {.lanes = 4, .max_images = 32});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("ResNet-%d: %zu calls, %zu buffers, arena of %.1f MiB, planned in %.3f s\n", depth,
                plan.calls.size(), plan.buffers.size(),
                static_cast<double>(plan.arena_bytes) / (1 << 20), took.count());
    EXPECT_EQ(messages(plan, MessageKind::kAllReduceSums), 2 * (depth - 1) + 1);
  }
}

TEST(WithoutGradientReduction, LeavesOutThoseMessagesAndNothingElse) {
  const Graph graph = small_graph();
  const Plan plan = plan_of(graph, {.bucket_bytes = 4096});
  const Plan without = without_gradient_reduction(plan);
  std::vector<std::string> kept, expected;
  int left_out = 0;
  for (const PlanItem& item : plan.items) {
    const auto* message = std::get_if<Message>(&item.what);
    if (message && message->kind != MessageKind::kAllReduceSums)
      ++left_out;
    else
      expected.push_back(message ? message->name : std::get<Phase>(item.what).name);
  }
  for (const PlanItem& item : without.items) {
    const auto* message = std::get_if<Message>(&item.what);
    kept.push_back(message ? message->name : std::get<Phase>(item.what).name);
  }
  EXPECT_EQ(kept, expected);
  EXPECT_EQ(left_out, static_cast<int>(plan.buckets.size()) + 1);  // their starts, and the finish
  EXPECT_GT(plan.buckets.size(), 1u);
  EXPECT_TRUE(without.buckets.empty());
}

TEST(WithoutGradientReduction, KeepsWhatStagesSend) {
  const Graph graph = small_graph();
  const Pipeline pipeline = one_f_one_b(linear_pipeline(graph, 2, 3));
  for (int stage = 0; stage < 2; ++stage) {
    const Plan plan = plan_of(graph, {.pipeline = pipeline, .stage = stage}),
               without = without_gradient_reduction(plan);
    const std::vector<StageAction> kept = stage_actions(without), all = stage_actions(plan);
    EXPECT_TRUE(std::ranges::equal(kept, all, [](const StageAction& a, const StageAction& b) {
      return a.kind == b.kind && a.name == b.name && a.peer == b.peer && a.tag == b.tag &&
             a.started == b.started;
    }));
    EXPECT_TRUE(std::ranges::any_of(
        all, [](const StageAction& a) { return a.kind != StageAction::Kind::kRun; }));
    EXPECT_EQ(without.items.size(), plan.items.size() - plan.buckets.size() - 1);
  }
}

}  // namespace
}  // namespace lockstep
