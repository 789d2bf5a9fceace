// Stages and schedules change no bit: loss, parameters and running statistics after several steps
// are those of one rank that accumulates the same micro-batches.
#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/bench/step_bench.h"
#include "data/error.h"
#include "layers/model.h"
#include "tests/coordinator/engine_run.h"
#include "tests/coordinator/pipelines.h"

namespace lockstep {
namespace {

constexpr int kClasses = 10, kMicroBatches = 4;

struct Net {
  const char* name;
  ModelOptions model;
  std::int64_t images = 8;
  Shape input{3, 16, 16};
  int steps = 3;
};

ModelOptions custom(ModelOptions model = {}) {
  model.family = "custom";
  model.counts = {2, 2};
  model.widths = {16, 32};
  return model;
}

const Net kResNet{"ResNet", custom()};
const Net kUNet{"U-Net", {.family = "unet", .widths = {8, 16, 32}}};
const Net kDenseNet{"DenseNet", {.family = "densenet", .depth = 13, .growth = 16}};

TestBatch batch_of(const Net& net, int step) {
  return random_batch_for(net.model, net.input, net.images, kClasses,
                          3 + static_cast<std::uint64_t>(step));
}

/// All micro-batches of one step on this rank's stage.
void run_stages(Executor& executor, LayoutKind layout, const TestBatch& batch, const TestStep& how,
                int replica = 0, int replicas = 1) {
  std::vector<BatchPart> parts;
  std::vector<StepContext> contexts;
  std::vector<int> sizes;
  for (int m = 0; m < how.micro_batches; ++m)
    parts.push_back(part_of_batch(
        batch, layout,
        micro_batch_positions({0, batch.count()}, replica, replicas, m, how.micro_batches)));
  for (const BatchPart& part : parts) {
    contexts.push_back({.step = how.step,
                        .seed = 5,
                        .loss_divisor = static_cast<double>(batch.count()),
                        .positions = part.positions,
                        .step_begin = 0,
                        .step_end = batch.count(),
                        .pixels = part.pixels.data(),
                        .labels = part.labels.data(),
                        .first_micro_batch = contexts.empty(),
                        .images = static_cast<int>(part.positions.size()),
                        .update_running = how.update_running,
                        .learning_rate = how.learning_rate,
                        .slot_updates = how.step});
    sizes.push_back(contexts.back().images);
  }
  executor.prepare(sizes);
  executor.run(contexts);
}

class Stages : public testing::Test {
 protected:
  RankOptions options_of(const Graph& graph, const Net& net, const Communicator& group) const {
    const int lanes = stages() > 2 ? 1 : 2;  // more threads than cores only wait for each other
    RankOptions options =
        engine_options(group, net.images, lanes, cpu::best_layout(graph), kMicroBatches);
    options.optimizer = optimizer_;
    options.clip_norm = 0.5;  // small enough to clip
    return options;
  }
  static TestStep step_of(int step) {
    return {.step = step, .learning_rate = 0.05f, .micro_batches = kMicroBatches};
  }
  int stages() const { return world_.size(); }

  /// Trains one rank with the whole net, then this rank's stage of each pipeline.
  void expect_same(const Net& net, const std::vector<Pipeline>& pipelines,
                   const RecomputeOptions& recompute = {}) {
    const Graph graph = build_model(net.model, net.input, kClasses);
    const RankOptions options = options_of(graph, net, alone_);
    Engine whole(plan_rank(graph, options), alone_);
    whole.state().initialize(1);
    std::vector<double> losses, norms;
    for (int step = 0; step < net.steps; ++step) {
      losses.push_back(run_step(whole.trainer(), options.plan.layout, alone_, batch_of(net, step),
                                step_of(step)));
      norms.push_back(whole.trainer().gradient_norm());
    }
    for (std::size_t i = 0; i < pipelines.size(); ++i) {
      SCOPED_TRACE(std::string(net.name) + ", pipeline " + std::to_string(i));
      RankOptions staged = options;
      staged.plan.pipeline = pipelines[i];
      staged.plan.stage = world_.rank();
      staged.memory.recompute = recompute;
      Engine engine(plan_rank(graph, staged), alone_, &world_);
      engine.state().initialize(1);
      for (int step = 0; step < net.steps; ++step) {
        run_stages(engine.trainer(), options.plan.layout, batch_of(net, step), step_of(step));
        const auto sums = engine.trainer().loss_sums();
        const auto at = static_cast<std::size_t>(step);
        EXPECT_EQ(sums[0] / sums[3], losses[at]);
        EXPECT_EQ(engine.trainer().gradient_norm(), norms[at]);
      }
      expect_same_state(engine.state(), whole.state());
      expect_same_evaluation(net, engine, whole,
                             staged.plan.stage == staged.plan.pipeline.stage_of_chunk.back());
    }
  }

  /// What this stage holds equals the whole's; every tensor is on one stage.
  void expect_same_state(ModelState& stage, ModelState& whole) const {
    const Graph& graph = whole.graph();
    std::int64_t owned = 0;
    for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p) {
      const auto mine = stage.parameter(p, stage.parameters());
      owned += static_cast<std::int64_t>(mine.size());
      if (mine.empty()) continue;
      EXPECT_TRUE(std::ranges::equal(mine, whole.parameter(p, whole.parameters())))
          << graph.parameter(p).name;
      for (std::size_t slot = 0; slot < whole.optimizer().slots.size(); ++slot)
        EXPECT_TRUE(std::ranges::equal(stage.parameter(p, stage.slot(slot)),
                                       whole.parameter(p, whole.slot(slot))))
            << graph.parameter(p).name;
    }
    for (int s = 0; s < static_cast<int>(graph.statistics().size()); ++s) {
      const auto mine = stage.statistic(s);
      if (mine.empty()) continue;
      EXPECT_TRUE(std::ranges::equal(mine, whole.statistic(s)))
          << graph.statistics()[static_cast<std::size_t>(s)].name;
    }
    EXPECT_EQ(world_.all_reduce(owned, ReduceOp::kSum, "owned"), graph.parameter_count());
  }

  void expect_same_evaluation(const Net& net, Engine& stage, Engine& whole, bool has_loss) const {
    const TestBatch batch = batch_of(net, 99);
    const LayoutKind layout = stage.eval_plan().layout;
    run_step(whole.evaluator(), layout, alone_, batch, step_of(0));
    run_stages(stage.evaluator(), layout, batch, step_of(0));
    EXPECT_TRUE(std::ranges::equal(stage.evaluator().loss_sums(), whole.evaluator().loss_sums()));
    const int last = kMicroBatches - 1;
    const float* mine = stage.evaluator().logits(last);
    ASSERT_EQ(mine != nullptr, has_loss);
    if (!mine) return;
    const auto images =
        micro_batch_positions({0, batch.count()}, 0, 1, last, kMicroBatches).count();
    const Shape& shape = whole.graph().value(logits_of(whole.graph())).shape;
    EXPECT_TRUE(std::equal(mine, mine + images * shape.elements(), whole.evaluator().logits()));
  }

  std::vector<Pipeline> schedules(const Net& net) const {
    const Graph graph = build_model(net.model, net.input, kClasses);
    const Pipeline linear = linear_pipeline(graph, stages(), kMicroBatches);
    return {gpipe(linear), one_f_one_b(linear), split_backward(one_f_one_b(linear))};
  }

  Optimizer optimizer_ = Sgd{.momentum = 0.9f, .weight_decay = 1e-4f};
  Communicator world_ = Communicator::world();
  Communicator alone_ = world_.split(world_.rank(), 0);
};

TEST_F(Stages, ChangeNoBitOfResNet) {
  expect_same(kResNet, schedules(kResNet));
  Net longer = kResNet;
  longer.steps = 20;
  expect_same(longer, {schedules(longer)[1]});
}

TEST_F(Stages, ChangeNoBitUnderAdamW) {
  optimizer_ = AdamW{.weight_decay = 0.05};
  Net longer = kResNet;
  longer.steps = 20;
  expect_same(longer, {schedules(longer)[1]});
  expect_same(kUNet, {schedules(kUNet).back()});
}

/// Concatenated skips go from encoder to decoder, past the stages in between.
TEST_F(Stages, ChangeNoBitOfUNet) { expect_same(kUNet, schedules(kUNet)); }

TEST_F(Stages, ChangeNoBitOfDenseNet) { expect_same(kDenseNet, schedules(kDenseNet)); }

/// Gates that carry, and branches that are skipped for a step.
TEST_F(Stages, ChangeNoBitOfGatedSkips) {
  const Net nets[] = {
      {"highway", {.family = "highway", .counts = {2, 1}, .widths = {16, 32}}, 8, {3, 8, 8}, 2},
      {"plain",
       {.family = "custom", .shortcut = "none", .counts = {2, 1}, .widths = {16, 32}},
       8,
       {3, 8, 8},
       2},
      {"skips", custom({.conditional_skip = 0.9f})},
      {"learned skips", custom({.learned_skip = 0.5f})},
      {"preact learned skips", custom({.pre_activation = true, .learned_skip = 0.5f})},
      {"preact skips", custom({.pre_activation = true, .conditional_skip = 0.9f})},
      {"MLP",
       {.family = "mlp", .conditional_skip = 0.5f, .counts = {3}, .widths = {24}},
       8,
       {3, 8, 8},
       2}};
  for (const Net& net : nets) expect_same(net, {schedules(net).back()});
}

TEST_F(Stages, ChangeNoBitOfConvNeXtAndTransformer) {
  const Net nets[] = {
      {"ConvNeXt", {.family = "convnext", .counts = {2, 1}, .widths = {16, 32}}, 8, {3, 8, 8}, 2},
      {"transformer",
       {.family = "transformer", .counts = {3}, .widths = {16}, .heads = 2},
       8,
       {3, 8, 8},
       2},
      {"hybrid",
       {.family = "transformer", .counts = {2}, .widths = {16}, .hybrid = {1, 1}},
       8,
       {3, 8, 8},
       2}};
  for (const Net& net : nets) expect_same(net, {schedules(net).back()});
}

TEST_F(Stages, ChangeNoBitOfUnevenMicroBatches) {
  for (const std::int64_t images : {7, 3}) {  // 3: one micro-batch is empty
    Net net = kResNet;
    net.images = images;
    expect_same(net, schedules(net));
  }
}

TEST_F(Stages, ChangeNoBitOfDropout) {
  const Net nets[] = {
      {"dropout", custom({.dropout = 0.2f})},
      {"stochastic depth", custom({.pre_activation = true, .stochastic_depth = 0.5f})}};
  for (const Net& net : nets) expect_same(net, {schedules(net).back()});
}

TEST_F(Stages, ChangeNoBitOfTwoChunksAStage) {
  Net longer = kResNet;
  longer.model.counts = {3, 3};
  for (const Net& net : {longer, kUNet}) {
    if (stages() > 3 && labels_pixels(net.model)) continue;  // fewer blocks than chunks
    const Graph graph = build_model(net.model, net.input, kClasses);
    std::vector<Pipeline> pipelines;
    for (const bool folded : {false, true}) {
      const Pipeline p = gpipe(two_chunk_pipeline(graph, stages(), kMicroBatches, folded));
      pipelines.push_back(p);
      pipelines.push_back(split_backward(p));
    }
    expect_same(net, pipelines);
  }
}

/// Replays are of the chunk's own ops.
TEST_F(Stages, ChangeNoBitWithRecomputation) {
  for (const Net& net : {kResNet, kUNet})
    for (const RecomputeOptions& recompute :
         {RecomputeOptions{.kind = RecomputeKind::kEvery, .every = 1},
          RecomputeOptions{.kind = RecomputeKind::kSqrt},
          RecomputeOptions{.kind = RecomputeKind::kAuto, .arena_bytes = 1}}) {
      const auto all = schedules(net);
      expect_same(net, {all.front(), all.back()}, recompute);
    }
}

/// What estimates running statistics anew: forward alone, with batch statistics.
TEST_F(Stages, ForwardAloneCollectsTheSameStatistics) {
  const Graph graph = build_model(kResNet.model, kResNet.input, kClasses);
  const RankOptions options = options_of(graph, kResNet, alone_);
  RankOptions staged = options;
  staged.plan.pipeline = one_f_one_b(linear_pipeline(graph, stages(), kMicroBatches));
  staged.plan.stage = world_.rank();
  Engine whole(plan_rank(graph, options), alone_), stage(plan_rank(graph, staged), alone_, &world_);
  for (Engine* e : {&whole, &stage}) e->state().initialize(1);
  const std::vector<float> before(whole.state().statistics().begin(),
                                  whole.state().statistics().end());
  run_step(whole.estimator(), options.plan.layout, alone_, batch_of(kResNet, 0), step_of(0));
  run_stages(stage.estimator(), options.plan.layout, batch_of(kResNet, 0), step_of(0));
  EXPECT_FALSE(std::ranges::equal(whole.state().statistics(), before));
  expect_same_state(stage.state(), whole.state());
}

/// In bf16 sums of gradients are rounded before they are sent: close, not equal.
TEST_F(Stages, TrainInBf16) {
  const Graph graph = build_model(kResNet.model, kResNet.input, kClasses);
  if (!runs_bf16(graph)) GTEST_SKIP() << "no bf16 on this CPU";
  RankOptions options = options_of(graph, kResNet, alone_);
  options.plan.layout = LayoutKind::kNhwc;
  options.plan.activations = Storage::kBf16;
  RankOptions staged = options;
  staged.plan.pipeline = one_f_one_b(linear_pipeline(graph, stages(), kMicroBatches));
  staged.plan.stage = world_.rank();
  Engine whole(plan_rank(graph, options), alone_), stage(plan_rank(graph, staged), alone_, &world_);
  for (Engine* e : {&whole, &stage}) e->state().initialize(1);
  const double loss =
      run_step(whole.trainer(), options.plan.layout, alone_, batch_of(kResNet, 0), step_of(0));
  run_stages(stage.trainer(), options.plan.layout, batch_of(kResNet, 0), step_of(0));
  const auto sums = stage.trainer().loss_sums();
  EXPECT_EQ(sums[0] / sums[3], loss);  // forward sums nothing
  EXPECT_NEAR(stage.trainer().gradient_norm() / whole.trainer().gradient_norm(), 1, 0.01);
}

/// Two replicas of two stages against two replicas of one.
TEST_F(Stages, GridHasTheSameGradients) {
  if (world_.size() != 4) return;
  const int replica = world_.rank() / 2, stage = world_.rank() % 2;
  const Communicator pair = world_.split(replica, stage, "replica"),
                     same_stage = world_.split(stage, replica, "stage");
  const Graph graph = build_model(kResNet.model, kResNet.input, kClasses);
  const RankOptions options = options_of(graph, kResNet, pair);
  RankOptions staged = options;
  staged.plan.pipeline = one_f_one_b(linear_pipeline(graph, 2, kMicroBatches));
  staged.plan.stage = stage;
  Engine whole(plan_rank(graph, options), pair),
      engine(plan_rank(graph, staged), same_stage, &pair);
  for (Engine* e : {&whole, &engine}) e->state().initialize(1);
  const TestBatch batch = batch_of(kResNet, 0);
  const double loss = run_step(whole.trainer(), options.plan.layout, pair, batch, step_of(0));
  run_stages(engine.trainer(), options.plan.layout, batch, step_of(0), replica, 2);
  const auto sums = engine.trainer().loss_sums();
  EXPECT_NEAR(sums[0] / sums[3], loss, 1e-9);
  for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p) {
    const auto mine = engine.state().parameter(p, engine.state().gradients());
    const auto other = whole.state().parameter(p, whole.state().gradients());
    if (mine.empty()) continue;
    EXPECT_LT(difference(mine, std::vector<double>(other.begin(), other.end())), 1e-4)
        << graph.parameter(p).name;
  }
}

TEST_F(Stages, AreTimedInWholeSteps) {
  Job job;
  job.model = kResNet.model;
  job.train.batch = static_cast<int>(kResNet.images);
  job.train.micro_batches = kMicroBatches;
  job.parallel.stages = stages();
  job.parallel.threads = 1;
  job.parallel.probe = false;
  StepBench bench(job, kResNet.input, kClasses, world_, {});
  const double seconds = bench.run();
  EXPECT_GT(bench.times().total(), 0);
  EXPECT_LE(bench.times().total(), seconds);  // the slowest rank's
  EXPECT_EQ(bench.replicas(), 1);
  EXPECT_EQ(bench.images(), kResNet.images);
  EXPECT_EQ(bench.pipeline() == nullptr, stages() == 1);
  if (stages() == 1) return;
  EXPECT_GT(bench.times().pipeline, 0);
  EXPECT_NEAR(ideal_bubble(bench.pipeline()->pipeline),
              (stages() - 1.0) / (kMicroBatches + stages() - 1), 1e-12);
  EXPECT_THROW(StepBench(job, kResNet.input, kClasses, world_, {.predict = true}), ConfigError);
  EXPECT_THROW(StepBench(job, kResNet.input, kClasses, world_, {.without_reduce = true}),
               ConfigError);
}

}  // namespace
}  // namespace lockstep
