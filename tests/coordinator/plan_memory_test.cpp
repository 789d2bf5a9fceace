// Where the buffers of a plan lie: walked byte by byte by something that knows nothing of how the
// offsets were found (plan_run.h), on the graphs of the golden nets.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "coordinator/plan/planner.h"
#include "coordinator/plan/recompute_choice.h"
#include "layers/cpu/cpu_backend.h"
#include "tests/coordinator/plan_run.h"
#include "tests/golden/golden_nets.h"
#include "tests/layers/golden_model.h"

namespace lockstep {
namespace {

class PlanMemory : public testing::TestWithParam<std::filesystem::path> {
 protected:
  Plan plan(bool training, bool batch_statistics, int lanes, int images) const {
    return make_plan(graph_, backend_,
                     {.training = training,
                      .batch_statistics = batch_statistics,
                      .lanes = lanes,
                      .max_images = images,
                      .layout = layout_,
                      .bucket_bytes = 16 << 10});
  }

  static void expect_sound(const Plan& plan, const std::vector<int>& micro_batches) {
    PlanRun run(plan);
    for (int images : micro_batches) run.micro_batch(images);
    EXPECT_EQ(run.faults(), std::set<std::string>{});
    EXPECT_TRUE(run.holds(plan.loss_sums));
    if (plan.training)
      EXPECT_TRUE(run.holds(plan.gradient_norm));
    else
      EXPECT_TRUE(run.holds(plan.logits.front()));
  }

  GoldenFile file_{GetParam()};
  Graph graph_ = golden_graph(file_);
  LayoutKind layout_ = cpu::best_layout(graph_);
  cpu::CpuBackend backend_{graph_, {.layout = layout_}};
};

/// As many images as planned for, then fewer, then so few that lanes have none.
TEST_P(PlanMemory, NothingIsOverwrittenBeforeItIsRead) {
  for (int lanes : {1, 3}) {
    SCOPED_TRACE("lanes: " + std::to_string(lanes));
    expect_sound(plan(true, true, lanes, 7), {7, 5, 2});
    expect_sound(plan(false, false, lanes, 7), {5, 7, 2});
    expect_sound(plan(false, true, lanes, 7), {2, 7});
  }
}

/// The same with every way to recompute.
TEST_P(PlanMemory, ReplaysReadWhatIsThere) {
  PlanOptions options{
      .lanes = 2, .max_images = 7, .layout = layout_, .bucket_bytes = 16 << 10, .recompute = {}};
  for (RecomputeKind kind : {RecomputeKind::kEvery, RecomputeKind::kSqrt, RecomputeKind::kAuto}) {
    options.recompute = {};
    options.recompute = choose_recomputation(graph_, backend_, options,
                                             {.kind = kind, .every = 1, .arena_bytes = 1});
    const Plan recomputing = make_plan(graph_, backend_, options);
    EXPECT_TRUE(std::ranges::any_of(recomputing.calls, &Call::replay));
    expect_sound(recomputing, {7, 5, 2});
  }
}

/// Batch norms are barriers: what lived before one may be overwritten after it.
TEST_P(PlanMemory, BuffersShareMemory) {
  const Plan train = plan(true, true, 2, 64), eval = plan(false, false, 2, 64);
  std::size_t separate = 0;
  for (const Buffer& b : train.buffers)
    if (b.segment == Segment::kArena && b.parent == kNone) separate += (b.bytes + 127) / 128 * 128;
  if (file_.text("norm") == "batch") {
    EXPECT_LT(train.arena_bytes, separate);
  } else {
    EXPECT_LE(train.arena_bytes, separate);
  }
  EXPECT_LT(eval.arena_bytes, train.arena_bytes);
}

INSTANTIATE_TEST_SUITE_P(Nets, PlanMemory, testing::ValuesIn(golden_nets()),
                         [](const auto& test) { return test.param.stem().string(); });

/// Images so large that a lane runs several chunks: what lives in one phase keeps one chunk a lane.
TEST(PlanMemoryOfLargeImages, TransientsKeepOneChunk) {
  const Graph graph =
      build_model({.family = "custom", .counts = {1, 1}, .widths = {16, 32}}, {3, 32, 32}, 10);
  const cpu::CpuBackend backend(graph, {});
  const Plan plan = make_plan(graph, backend, {.lanes = 2, .max_images = 24});
  PlanRun run(plan);
  run.micro_batch(23);
  EXPECT_EQ(run.faults(), std::set<std::string>{});
  int cut = 0;
  for (const Buffer& b : plan.buffers) {
    if (!b.transient) continue;
    EXPECT_LE(b.bytes, 12 * b.image_bytes) << b.name;
    cut += b.bytes < 12 * b.image_bytes;
  }
  EXPECT_GT(cut, 0);
}

/// Makes plans for CPUs that this one is not.
class NoKernels : public Backend {
 public:
  std::size_t packed_bytes(OpId, bool) const override { return 640; }
  std::size_t lane_gradient_bytes(OpId) const override { return 320; }
  std::unique_ptr<Kernel> make_kernel(const Call&, Binding) override { return nullptr; }
  void start_thread() override {}
};

/// bf16: all values of the convolutions' part take half the memory, pixels and vectors what they
/// took.
TEST(PlanMemoryInBf16, HalvesActivations) {
  const Graph graph =
      build_model({.family = "custom", .se_reduction = 4, .counts = {1, 2}, .widths = {16, 32}},
                  {3, 16, 16}, 10);
  const NoKernels backend;
  const auto plan = [&](Storage activations) {
    return make_plan(graph, backend, {.lanes = 2, .max_images = 9, .activations = activations});
  };
  const Plan whole = plan(Storage::kF32), half = plan(Storage::kBf16);
  ASSERT_EQ(whole.calls.size(), half.calls.size());
  std::map<std::string, std::size_t> bytes;
  for (const Buffer& b : whole.buffers) bytes[b.name] = b.image_bytes;
  int halved = 0, kept = 0;
  for (const Buffer& b : half.buffers) {
    if (b.image_bytes == 0) continue;
    const bool vector = bytes.at(b.name) <= 32 * sizeof(float);
    EXPECT_EQ(b.image_bytes, b.name == "pixels" || vector ? bytes[b.name] : bytes[b.name] / 2)
        << b.name;
    ++(b.image_bytes == bytes[b.name] ? kept : halved);
  }
  EXPECT_GT(halved, 20);
  EXPECT_GT(kept, 10);
  EXPECT_LT(half.arena_bytes, whole.arena_bytes * 3 / 5);
  EXPECT_NE(plan_hash(half), plan_hash(whole));
  PlanRun run(half);
  for (int images : {9, 5, 1}) run.micro_batch(images);
  EXPECT_EQ(run.faults(), std::set<std::string>{});
}

/// The walk sees what it is there for.
TEST(PlanMemoryWalk, FindsFaults) {
  const Graph graph =
      build_model({.family = "custom", .counts = {1}, .widths = {16}}, {3, 8, 8}, 10);
  const cpu::CpuBackend backend(graph, {});
  const Plan good = make_plan(graph, backend, {.lanes = 2, .max_images = 4});
  int found = 0, moved = 0;
  for (std::size_t b = 0; b < good.buffers.size(); ++b) {
    const Buffer& buffer = good.buffers[b];
    if (buffer.segment != Segment::kArena || buffer.bytes == 0 || buffer.first_call < 0) continue;
    Plan bad = good;
    bad.buffers[b].offset = good.arena_bytes;
    PlanRun run(bad);
    run.micro_batch(4);
    ++moved;
    found += !run.faults().empty();
  }
  EXPECT_GT(moved, 20);
  EXPECT_GE(found, moved - 5);  // spaces of lanes and sums are only reached through their parts

  Plan bad = good;  // lanes that share what each should have for itself
  for (Buffer& b : bad.buffers)
    if (!b.transient) b.lane_bytes = 0;
  PlanRun run(bad);
  run.micro_batch(4);
  EXPECT_FALSE(run.faults().empty());
}

}  // namespace
}  // namespace lockstep
