// Sums over nodes with several ranks: ranks of one machine that think themselves on several.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "tests/worker/comm/values.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {
namespace {

std::vector<float> summed(const Communicator& group, const std::vector<float>& values,
                          const AllReduceOptions& options = {}) {
  const SharedMemory memory(group, values.size() * sizeof(float), "test");
  AsyncAllReduce reduce(group, values.size(), options, &memory);
  std::ranges::copy(values, floats_of(memory).begin());
  reduce.start(floats_of(memory).first(values.size()), 1, "two levels");
  reduce.finish();
  return {floats_of(memory).begin(), floats_of(memory).end()};
}

TEST(TwoLevel, SumsOverNodesOfAnySize) {
  const Communicator world = Communicator::world();
  for (const int ranks_per_node : {2, 3}) {
    const Communicator group = Communicator::world({.ranks_per_node = ranks_per_node});
    ASSERT_EQ(group.nodes(), (world.size() + ranks_per_node - 1) / ranks_per_node);
    for (const std::size_t size : {1, 17, 1001, 300'007, 1'000'003})
      EXPECT_EQ(summed(group, integers<float>(size, world.rank())),
                sum_by_mpi(integers<float>(size, world.rank())))
          << ranks_per_node << " " << size;
  }
}

// The ranks of a node in their order, then the two nodes.
TEST(TwoLevel, HasAnOrder) {
  const Communicator world = Communicator::world();
  const int half = (world.size() + 1) / 2;
  const Communicator group = Communicator::world({.ranks_per_node = half});
  constexpr std::size_t kSize = 70'001;
  std::vector<float> nodes[2] = {fractions<float>(kSize, 0), fractions<float>(kSize, half)};
  for (int r = 0; r < world.size(); ++r) {
    if (r == 0 || r == half) continue;
    const auto other = fractions<float>(kSize, r);
    for (std::size_t i = 0; i < kSize; ++i) nodes[r / half][i] += other[i];
  }
  for (std::size_t i = 0; i < kSize; ++i) nodes[0][i] += nodes[1][i];
  EXPECT_EQ(summed(group, fractions<float>(kSize, world.rank())), nodes[0]);
}

TEST(TwoLevel, Bf16BetweenNodes) {
  const Communicator group = Communicator::world({.ranks_per_node = 2});
  const auto given = fractions<float>(70'001, group.rank());
  const auto sums = summed(group, given, {.wire = Wire::kBf16});
  const auto exact = summed(group, given);
  EXPECT_TRUE(same_on_all(group, sums));
  EXPECT_EQ(sums == exact, group.nodes() == 1);  // inside a node nothing travels
  for (std::size_t i = 0; i < sums.size(); ++i)
    ASSERT_NEAR(sums[i], exact[i], exact[i] * static_cast<float>(group.nodes()) / 256) << i;
}

TEST(TwoLevel, SeveralUnderWay) {
  const Communicator group = Communicator::world({.ranks_per_node = 2});
  constexpr std::size_t kBuckets = 3, kSize = 100'000;
  const SharedMemory memory(group, kBuckets * kSize * sizeof(float), "test");
  std::vector<AsyncAllReduce> reduces;
  for (std::size_t b = 0; b < kBuckets; ++b)
    reduces.emplace_back(group, kSize, AllReduceOptions{}, &memory);
  const auto bucket = [&](std::size_t b) { return floats_of(memory).subspan(b * kSize, kSize); };
  for (int round = 0; round < 4; ++round) {
    std::vector<std::vector<float>> expected;
    for (std::size_t b = 0; b < kBuckets; ++b) {
      const auto given = integers<float>(kSize, group.rank() + round + static_cast<int>(b));
      expected.push_back(sum_by_mpi(given));
      std::ranges::copy(given, bucket(b).begin());
    }
    for (std::size_t b = 0; b < kBuckets; ++b) {
      reduces[b].start(bucket(b), static_cast<std::uint64_t>(round) * kBuckets + b, "bucket");
      for (int poll = 0; poll < group.rank() * 3; ++poll) reduces[b / 2].progress();
    }
    for (std::size_t b = 0; b < kBuckets; ++b) {
      reduces[b].finish();
      EXPECT_TRUE(std::ranges::equal(bucket(b), expected[b])) << round << " " << b;
      std::ranges::fill(bucket(b), 0.0f);  // while others may not yet know that they are done
    }
  }
}

// Small sums go in pieces inside a node and as a whole between nodes: with the same bits.
TEST(TwoLevel, SmallSumsDoNotDependOnTheWay) {
  const AllReduceOptions options{.algorithm = AllReduceAlgorithm::kRing, .small_bytes = 1 << 20};
  const Communicator world = Communicator::world();
  const Communicator nodes = Communicator::world({.ranks_per_node = 2});
  for (const std::size_t size : {1, 500, 501, 1001, 4096, 20'000}) {
    auto inside = fractions<double>(size, world.rank()), between = inside;
    all_reduce_sum<double>(world, inside, "inside", options);
    all_reduce_sum<double>(nodes, between, "between", options);
    EXPECT_EQ(inside, between) << size;
  }
}

// A rank per node, and a group that a split leaves on parts of nodes.
TEST(TwoLevel, OtherGroups) {
  const Communicator single = Communicator::world({.ranks_per_node = 1});
  EXPECT_EQ(summed(single, integers<float>(5000, single.rank())),
            sum_by_mpi(integers<float>(5000, single.rank())));
  const Communicator group = Communicator::world({.ranks_per_node = 2});
  const Communicator part = group.split(group.rank() == 1 ? 1 : 0, 0, "all but one");
  const auto values = integers<float>(5000, group.rank());
  auto expected = integers<float>(5000, 1);
  if (group.rank() != 1) {
    const auto all = sum_by_mpi(values);
    std::ranges::transform(all, expected, expected.begin(), std::minus<>());
  } else {
    sum_by_mpi(values);
  }
  EXPECT_EQ(summed(part, values), expected);
}

}  // namespace
}  // namespace lockstep
