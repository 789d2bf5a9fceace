// Several ranks train as one: the same sums on any number of ranks, lanes and micro-batches, the
// same bits on all ranks and in every run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "data/files.h"
#include "layers/model.h"
#include "tests/coordinator/engine_run.h"
#include "tests/golden/reference_graph.h"
#include "worker/comm/all_reduce.h"

namespace lockstep {
namespace {

const Shape kInput{3, 8, 8};
constexpr int kClasses = 10;

ModelOptions small_model(const std::string& norm = "batch") {
  return {.family = "custom",
          .stem = "cifar",
          .block = "basic",
          .norm = norm,
          .norm_groups = 4,
          .counts = {1, 2},
          .widths = {16, 32}};
}

const Optimizer kSgd = Sgd{.momentum = 0.9f, .weight_decay = 1e-4f};
/// With this eps gradients that are nothing but rounding do not decide where a weight goes.
const Optimizer kAdamW = AdamW{.eps = 1e-4, .weight_decay = 0.05};

/// A job's engine on a group of ranks.
struct Trained {
  Trained(const ModelOptions& model, const Communicator& ranks, std::int64_t images, int lanes,
          int micro_batches = 1, bool sync_bn = true, const Optimizer& optimizer = kSgd)
      : group(ranks),
        layout(cpu::best_layout(build_model(model, kInput, kClasses))),
        engine(plan_rank(build_model(model, kInput, kClasses),
                         options(images, lanes, micro_batches, sync_bn, optimizer)),
               ranks),
        pieces(micro_batches) {
    engine.state().initialize(1);
  }

  RankOptions options(std::int64_t images, int lanes, int micro_batches, bool sync_bn,
                      const Optimizer& optimizer) const {
    RankOptions o = engine_options(group, images, lanes, layout, micro_batches);
    o.plan.sync_bn = sync_bn;
    o.optimizer = optimizer;
    return o;
  }
  double step(const TestBatch& batch, std::int64_t number, float rate) {
    return run_step(engine.trainer(), layout, group, batch,
                    {.step = number, .learning_rate = rate, .micro_batches = pieces});
  }
  std::vector<float> gradients() {
    const std::span<float> all = engine.state().gradients();
    return {all.begin(), all.end()};
  }
  std::uint64_t hash() { return hash64(std::as_bytes(engine.state().parameters())); }

  const Communicator& group;
  LayoutKind layout;
  Engine engine;
  int pieces;
};

std::vector<double> doubles(std::span<const float> values) {
  return {values.begin(), values.end()};
}

/// Largest difference of a parameter's gradient between two engines of one graph.
double worst_gradient(Trained& found, Trained& expected) {
  double worst = 0;
  ModelState &a = found.engine.state(), &b = expected.engine.state();
  for (int p = 0; p < static_cast<int>(a.graph().parameters().size()); ++p)
    worst = std::max(
        worst, difference(a.parameter(p, a.gradients()), doubles(b.parameter(p, b.gradients()))));
  return worst;
}

/// All ranks, and this one alone: what it computes alone is what the ranks together must give.
class Lockstep : public testing::Test {
 protected:
  void expect_same_parameters(Trained& trained) {
    for (std::uint64_t other : world_.all_gather_value(trained.hash(), "parameter hash"))
      EXPECT_EQ(other, trained.hash());
  }
  void report(const char* what, double worst) const {
    if (world_.rank() == 0) std::printf("%s: %.1e\n", what, worst);
  }

  Communicator world_ = Communicator::world();
  Communicator alone_ = world_.split(world_.rank(), 0);
};

/// 13 images: uneven parts. 3: on four ranks one has none; lanes without images, too.
TEST_F(Lockstep, FirstStepIsThatOfOneRank) {
  for (int images : {12, 13, 3}) {
    const TestBatch batch = random_batch(kInput, images, kClasses);
    Trained one(small_model(), alone_, images, 1);
    const double loss = one.step(batch, 0, 0);
    for (int lanes : {1, 3}) {
      SCOPED_TRACE(std::to_string(images) + " images, lanes: " + std::to_string(lanes));
      Trained many(small_model(), world_, images, lanes);
      EXPECT_NEAR(many.step(batch, 0, 0), loss, 1e-6);
      const double gradient = worst_gradient(many, one);
      EXPECT_LT(gradient, 1e-4);
      EXPECT_NEAR(many.engine.trainer().gradient_norm() / one.engine.trainer().gradient_norm(), 1,
                  1e-5);
      const double statistics =
          difference(many.engine.state().statistics(), doubles(one.engine.state().statistics()));
      EXPECT_LT(statistics, 1e-5);
      report("gradients", gradient);
    }
  }
}

TEST_F(Lockstep, LossesOfTwentyStepsAreThoseOfOneRank) {
  constexpr int kImages = 13;
  for (const auto& [optimizer, rate] : {std::pair(kSgd, 0.005f), std::pair(kAdamW, 0.001f)}) {
    SCOPED_TRACE(optimizer_word(optimizer_rule(optimizer).kind));
    Trained one(small_model(), alone_, kImages, 1, 1, true, optimizer),
        many(small_model(), world_, kImages, 2, 1, true, optimizer);
    double worst = 0, first = 0, last = 0;
    for (int step = 0; step < 20; ++step) {
      const TestBatch batch = random_batch(kInput, kImages, kClasses, 3 + step % 4);
      last = one.step(batch, step, rate);
      const double loss = many.step(batch, step, rate);
      if (step == 0) first = last;
      EXPECT_NEAR(loss, last, 1e-4) << "step " << step;
      worst = std::max(worst, std::abs(loss - last));
      expect_same_parameters(many);
    }
    EXPECT_LT(last, first);
    report("losses of 20 steps", worst);
  }
}

TEST_F(Lockstep, TwoRunsGiveTheSameBits) {
  constexpr int kImages = 13;
  for (const auto& [lanes, optimizer] :
       {std::pair(1, kSgd), std::pair(2, kSgd), std::pair(2, kAdamW)}) {
    Trained first(small_model(), world_, kImages, lanes, 1, true, optimizer),
        second(small_model(), world_, kImages, lanes, 1, true, optimizer);
    for (int step = 0; step < 5; ++step) {
      const TestBatch batch = random_batch(kInput, kImages, kClasses, 3 + step % 4);
      EXPECT_EQ(first.step(batch, step, 0.05f), second.step(batch, step, 0.05f));
      EXPECT_EQ(first.gradients(), second.gradients());
      EXPECT_EQ(first.hash(), second.hash()) << "step " << step << ", lanes: " << lanes;
      expect_same_parameters(first);
    }
    EXPECT_TRUE(
        std::ranges::equal(first.engine.state().statistics(), second.engine.state().statistics()));
    EXPECT_TRUE(std::ranges::equal(first.engine.state().slots(), second.engine.state().slots()));
  }
}

/// Group norm knows no batch: parts of it may be added up.
TEST_F(Lockstep, MicroBatchesGiveTheStepOfOneBatch) {
  for (int images : {13, 3}) {
    for (int pieces : {2, 3}) {
      const TestBatch batch = random_batch(kInput, images, kClasses);
      Trained one(small_model("group"), alone_, images, 1);
      Trained many(small_model("group"), world_, images, 2, pieces);
      for (int step = 0; step < 2; ++step) {
        EXPECT_NEAR(many.step(batch, step, 0.01f), one.step(batch, step, 0.01f), 1e-5);
        const double gradient = worst_gradient(many, one);
        EXPECT_LT(gradient, 1e-5) << images << " images, micro-batches: " << pieces;
        report("gradients of micro-batches", gradient);
        expect_same_parameters(many);
      }
    }
  }
}

/// Each rank normalizes by its own images; gradients are still sums over all of them.
TEST_F(Lockstep, WithoutSyncBatchNormGradientsAreThoseOfTheParts) {
  constexpr int kImages = 13;
  const TestBatch batch = random_batch(kInput, kImages, kClasses);
  Trained many(small_model(), world_, kImages, 2, 1, false);
  many.step(batch, 0, 0.01f);
  expect_same_parameters(many);

  const Positions mine = part_of({0, kImages}, world_.rank(), world_.size());
  TestBatch part = random_batch(kInput, mine.count(), kClasses);
  const auto image = static_cast<std::ptrdiff_t>(kInput.elements());
  std::copy_n(batch.images.values.begin() + mine.begin * image, mine.count() * image,
              part.images.values.begin());
  std::copy_n(batch.labels.begin() + mine.begin, mine.count(), part.labels.begin());
  Trained one(small_model(), alone_, mine.count(), 1);
  one.step(part, 0, 0);
  std::span<float> sum = one.engine.state().gradients();
  for (float& g : sum) g *= static_cast<float>(mine.count()) / kImages;
  all_reduce_sum<float>(world_, sum, "gradients of the parts");
  EXPECT_LT(worst_gradient(many, one), 1e-5);
  EXPECT_LT(difference(many.engine.state().statistics(), doubles(one.engine.state().statistics())),
            1e-5);
}

/// What is drawn depends on the step and an image's position, not on who computes it.
TEST_F(Lockstep, WhatIsDrawnDoesNotKnowTheRank) {
  constexpr int kImages = 13;
  ModelOptions dropped = small_model(), skipped = small_model();
  dropped.dropout = 0.3f;
  dropped.stochastic_depth = 0.5f;
  skipped.learned_skip = 0.5f;
  skipped.activation = "gelu";  // a ReLU's input may be so near to 0 that rounding turns its sign
  const TestBatch batch = random_batch(kInput, kImages, kClasses);
  for (const ModelOptions& model : {dropped, skipped}) {
    Trained one(model, alone_, kImages, 1), many(model, world_, kImages, 2);
    std::vector<double> losses;
    for (int step = 0; step < 3; ++step) {
      losses.push_back(one.step(batch, step, 0));
      EXPECT_NEAR(many.step(batch, step, 0), losses.back(), 1e-5);
      EXPECT_LT(worst_gradient(many, one), 1e-4);
    }
    EXPECT_NE(losses[0], losses[1]);
    EXPECT_NE(losses[1], losses[2]);
    EXPECT_EQ(one.step(batch, 1, 0), losses[1]);
  }
}

/// Of every gate the mean probability to skip, of all images.
std::vector<double> skipped_shares(Trained& trained, const TestBatch& batch) {
  ModelState& state = trained.engine.state();
  const Graph& graph = state.graph();
  ReferenceGraph run(graph);
  for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p)
    run.parameters[graph.parameter(p).name].values =
        doubles(state.parameter(p, state.parameters()));
  run.forward(batch.images, batch.labels, false);
  std::vector<double> shares;
  for (const Op& op : graph.ops()) {
    if (!std::holds_alternative<ImageGate>(op.attributes)) continue;
    double sum = 0;
    for (const double odds : run.value(op.inputs[0]).values) sum += 1 / (1 + std::exp(odds));
    shares.push_back(sum / static_cast<double>(batch.count()));
  }
  return shares;
}

TEST_F(Lockstep, LearnedSkipsComeToTheirShare) {
  constexpr int kImages = 13;
  ModelOptions model = small_model("group");
  model.learned_skip = 0.7f;
  model.learned_skip_weight = 2;
  const TestBatch batch = random_batch(kInput, kImages, kClasses);
  Trained trained(model, world_, kImages, 1);
  const std::vector<double> first = skipped_shares(trained, batch);
  EXPECT_EQ(first.size(), 3u);
  for (const double share : first) EXPECT_NEAR(share, 0.15, 0.1);
  for (int step = 0; step < 60; ++step) trained.step(batch, step, 0.05f);
  for (const double share : skipped_shares(trained, batch)) {
    EXPECT_NEAR(share, 0.7, 0.1);
    report("a gate's share", share);
  }
  expect_same_parameters(trained);
}

/// Between parameters lie unused floats: they stay zero, so that hashes and norms may cover them.
TEST_F(Lockstep, PaddingStaysZero) {
  ModelOptions model = small_model("group");
  model.widths = {12, 20};
  model.se_reduction = 4;
  model.activation = "gelu";
  const TestBatch batch = random_batch(kInput, 7, kClasses);
  Trained many(model, world_, 7, 3, 2, true, kAdamW);
  for (int step = 0; step < 2; ++step) many.step(batch, step, 0.05f);
  ModelState& state = many.engine.state();
  for (std::span<float> segment :
       {state.gradients(), state.parameters(), state.slot(0), state.slot(1)}) {
    std::vector<float> rest(segment.begin(), segment.end());
    for (int p = 0; p < static_cast<int>(state.graph().parameters().size()); ++p) {
      const std::span<float> own = state.parameter(p, segment);
      std::fill_n(rest.begin() + (own.data() - segment.data()), own.size(), 0.0f);
    }
    EXPECT_TRUE(std::ranges::all_of(rest, [](float v) { return v == 0; }));
  }
}

}  // namespace
}  // namespace lockstep
