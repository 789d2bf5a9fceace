#include "coordinator/health/shard_report.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/memory_dataset.h"

namespace lockstep {
namespace {

MemoryDataset labelled(const std::vector<std::uint8_t>& labels, int classes) {
  const auto samples = static_cast<std::int64_t>(labels.size());
  DatasetInfo info{.source = "test",
                   .channels = 1,
                   .height = 1,
                   .width = 1,
                   .classes = classes,
                   .samples = samples};
  return {info, std::vector<std::uint8_t>(labels.size()), labels, {}};
}

TEST(ShardReport, ShardsAreThoseOfTheFirstEpoch) {
  std::vector<std::uint8_t> labels(100);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i % 4);
  const ShardReport report = report_shards(labelled(labels, 4), 100, 16, 3, 1);
  EXPECT_EQ(report.whole, (std::vector<std::int64_t>{25, 25, 25, 25}));
  std::vector<std::int64_t> sizes;
  for (const auto& shard : report.shards)
    sizes.push_back(std::accumulate(shard.begin(), shard.end(), std::int64_t{0}));
  // of 16: 5 + 5 + 6, of the last 4: 1 + 1 + 2
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{31, 31, 38}));
  EXPECT_TRUE(warnings(report).empty());
  EXPECT_NE(describe(report).find(
                "100 training samples of 4 classes, 25 of each; dealt out to 3 replicas, whose"),
            std::string::npos);
}

TEST(ShardReport, TheFirstOfASortedSetLackClasses) {
  std::vector<std::uint8_t> labels(90);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i / 30);
  const auto found = warnings(report_shards(labelled(labels, 3), 40, 8, 2, 1));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].find("1 of 3 classes have no training sample, the first of them class 2"),
            std::string::npos)
      << found[0];
}

TEST(ShardReport, AReplicaBeyondChanceIsNamed) {
  const ShardReport skewed{
      .whole = {200, 200}, .shards = {{150, 50}, {50, 150}}, .skew = {0.25, 0.02}};
  const auto found = warnings(skewed);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].find("replica 0 sees other classes than the rest: 25% of its 200 samples"),
            std::string::npos)
      << found[0];
  const ShardReport few{
      .whole = {4, 4}, .shards = {{3, 1}, {1, 3}}, .skew = {0.25, 0.25}};  // chance alone
  EXPECT_TRUE(warnings(few).empty());
}

TEST(ShardReport, ReplicasWithoutImagesInAnEpochsLastStepAreTold) {
  std::vector<std::uint8_t> labels(18);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i % 2);
  const MemoryDataset train = labelled(labels, 2);
  const auto found = warnings(report_shards(train, 18, 16, 4, 1));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NE(found[0].find("last step has 2 images for 4 replicas: 2 of them have none"),
            std::string::npos)
      << found[0];
  EXPECT_TRUE(warnings(report_shards(train, 18, 9, 4, 1)).empty());
}

}  // namespace
}  // namespace lockstep
