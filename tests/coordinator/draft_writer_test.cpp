// In which level a call runs: what lowering's passes rely on.
#include <gtest/gtest.h>

#include "coordinator/plan/draft_writer.h"

namespace lockstep {
namespace {

struct DraftWriterTest : testing::Test {
  Graph graph{Shape{16, 4, 4}};
  PlanOptions options{.lanes = 3, .max_images = 4};
  OpId op = 0;

  DraftWriterTest() { graph.add("relu", Activation{}, {graph.input()}); }

  static BufferId sums(DraftWriter& writer) {
    return writer.fixed_buffer("sums", BufferKind::kStatistics, 8);
  }
  /// Adds a call that reads one buffer and writes another; returns its level.
  int add(DraftWriter& writer, Place place, BufferId src, BufferId dst) const {
    return writer.add(
        writer.call(CallKind::kForward, op).read(Role::kSrc, src).write(Role::kDst, dst), place);
  }
};

TEST_F(DraftWriterTest, LanesReadWhatABoundaryMadeOneLevelLater) {
  DraftWriter writer(graph, options);
  const BufferId a = sums(writer), b = sums(writer), c = sums(writer), d = sums(writer);
  EXPECT_EQ(add(writer, Place::kLane, kNone, a), 0);
  EXPECT_EQ(add(writer, Place::kCombine, a, b), 0);  // at the boundary after the lanes
  EXPECT_EQ(add(writer, Place::kFinish, b, c), 0);   // the same one
  EXPECT_EQ(writer.lane_level(c), 1);
  EXPECT_EQ(add(writer, Place::kLane, c, d), 1);
  EXPECT_EQ(writer.cursor().front, 1);
}

TEST_F(DraftWriterTest, ReplaysAndPartsDoNotComeBeforeTheCursor) {
  DraftWriter writer(graph, options);
  const BufferId a = sums(writer), b = sums(writer), c = sums(writer), d = sums(writer);
  writer.cursor().replay = 5;
  EXPECT_EQ(add(writer, Place::kLane, kNone, a), 5);
  EXPECT_TRUE(writer.draft().calls.back().call.replay);
  writer.cursor().replay = kNone;
  EXPECT_EQ(add(writer, Place::kLane, kNone, b), 0);
  writer.cursor().begin_part(1);
  EXPECT_EQ(add(writer, Place::kLane, b, c), 6);
  EXPECT_EQ(add(writer, Place::kTeam, kNone, d), 5);  // at the boundary before the part
  EXPECT_EQ(writer.draft().calls.back().part, 1);
  writer.arrives_after(8, d);
  EXPECT_EQ(writer.lane_level(d), 9);
}

TEST_F(DraftWriterTest, BuffersAreAsLargeAsThisRankNeeds) {
  options.activations = Storage::kF32;
  DraftWriter writer(graph, options);
  writer.set_micro_batch(2);
  const Buffer images = writer.draft().buffer(writer.activation("relu", 1));
  EXPECT_EQ(images.bytes, 4u * 16 * 4 * 4 * sizeof(float));
  EXPECT_EQ(images.micro_batch, 2);
  const Buffer lanes =
      writer.draft().buffer(writer.lane_buffer("sums", BufferKind::kStatistics, 130));
  EXPECT_EQ(lanes.bytes, 3u * 256);  // no cache line is shared
}

}  // namespace
}  // namespace lockstep
