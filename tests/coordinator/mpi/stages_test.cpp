// Stages change no bit: parameters and running statistics after several steps are those of one rank
// that accumulates the same micro-batches.
#include <gtest/gtest.h>

#include "coordinator/stage_messages.h"
#include "layers/model.h"
#include "tests/coordinator/engine_run.h"
#include "tests/coordinator/pipelines.h"

namespace lockstep {
namespace {

constexpr int kClasses = 10, kMicroBatches = 4;

struct Net {
  const char* name;
  ModelOptions model;
  Shape input{3, 16, 16};
  std::int64_t images = 8;
};

const Net kResNet{"ResNet", {.family = "custom", .counts = {2, 2}, .widths = {16, 32}}};

class Stages : public testing::Test {
 protected:
  EngineOptions options(const Graph& graph, const Net& net, int lanes) const {
    EngineOptions options =
        engine_options(alone_, net.images, lanes, cpu::best_layout(graph), kMicroBatches);
    options.sgd = {.momentum = 0.9f, .weight_decay = 1e-4f};
    return options;
  }

  Communicator world_ = Communicator::world();
  Communicator alone_ = world_.split(world_.rank(), 0);
};

/// All micro-batches of one step on this rank's stage; the mean loss.
double run_stage_step(Executor& executor, LayoutKind layout, const TestBatch& batch,
                      const TestStep& how) {
  std::vector<BatchPart> parts;
  std::vector<StepContext> contexts;
  std::vector<int> sizes;
  for (int m = 0; m < how.micro_batches; ++m)
    parts.push_back(part_of_batch(
        batch, layout, micro_batch_positions({0, batch.count()}, 0, 1, m, how.micro_batches)));
  for (const BatchPart& part : parts) {
    contexts.push_back({.step = how.step, .seed = 5,
                        .loss_divisor = static_cast<double>(batch.count()),
                        .positions = part.positions, .pixels = part.pixels.data(),
                        .labels = part.labels.data(), .first_micro_batch = contexts.empty(),
                        .images = static_cast<int>(part.positions.size()),
                        .learning_rate = how.learning_rate});
    sizes.push_back(contexts.back().images);
  }
  executor.prepare(sizes);
  executor.run(contexts);
  const auto sums = executor.loss_sums();
  return sums[0] / sums[3];
}

TEST_F(Stages, TwoStagesGpipe) {
  const Net& net = kResNet;
  Graph graph = build_model(net.model, net.input, kClasses);
  const EngineOptions plain = options(graph, net, 2);
  EngineOptions staged = plain;
  staged.pipeline = gpipe(cut_evenly(graph, world_.size()), kMicroBatches);
  staged.stage = world_.rank();
  Engine whole(graph, plain, alone_), stage(graph, staged, alone_, &world_);
  whole.state().initialize(1);
  stage.state().initialize(1);
  for (int step = 0; step < 3; ++step) {
    const TestBatch batch = random_batch(net.input, net.images, kClasses, 3 + static_cast<std::uint64_t>(step));
    const TestStep how{.step = step, .learning_rate = 0.05f, .micro_batches = kMicroBatches};
    const double expected = run_step(whole.trainer(), plain.layout, alone_, batch, how);
    EXPECT_EQ(expected, run_stage_step(stage.trainer(), plain.layout, batch, how));
    EXPECT_EQ(whole.trainer().gradient_norm(), stage.trainer().gradient_norm());
  }
  int owned = 0;
  for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p) {
    const auto mine = stage.state().parameter(p, stage.state().parameters());
    if (mine.empty()) continue;
    ++owned;
    EXPECT_TRUE(std::ranges::equal(mine, whole.state().parameter(p, whole.state().parameters())))
        << graph.parameter(p).name;
  }
  EXPECT_GT(owned, 0);
}

}  // namespace
}  // namespace lockstep
