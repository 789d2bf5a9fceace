// Sums of values that lie in shared memory, and what happens where there is none.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "data/error.h"
#include "tests/worker/comm/values.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {
namespace {

constexpr std::size_t kLineFloats = 16;

/// Sums `values` where they lie in `memory`, `begin` floats from its beginning.
std::vector<float> summed_in(const Communicator& group, const SharedMemory& memory,
                             const std::vector<float>& values, std::size_t begin = 0) {
  AsyncAllReduce reduce(group, values.size(), {}, &memory);
  const std::span<float> place = floats_of(memory).subspan(begin, values.size());
  std::ranges::copy(values, place.begin());
  reduce.start(place, 1, "in place");
  reduce.finish();
  return {place.begin(), place.end()};
}

std::vector<float> summed_by_copies(const Communicator& group, std::vector<float> values) {
  all_reduce_sum<float>(group, values, "by copies", {.small_bytes = 0});
  return values;
}

// From one value to many chunks; ends within lines, parts without values.
const std::size_t kSizes[] = {1, 15, 16, 17, 100, 1001, 32768, 300'007};

TEST(DirectSum, GivesTheBitsOfStagedSum) {
  const Communicator world = Communicator::world();
  const SharedMemory memory(world, (kSizes[7] + 3 * kLineFloats) * sizeof(float), "test");
  ASSERT_EQ(memory.shared(), world.size() > 1);
  for (const std::size_t size : kSizes) {
    for (const std::size_t begin : {std::size_t{0}, 3 * kLineFloats}) {
      const auto values = fractions<float>(size, world.rank());
      EXPECT_EQ(summed_in(world, memory, values, begin), summed_by_copies(world, values)) << size;
    }
  }
}

TEST(DirectSum, LeavesTheNeighboursAlone) {
  const Communicator world = Communicator::world();
  const SharedMemory memory(world, 4096, "test");
  std::ranges::fill(floats_of(memory), -1.0f);
  summed_in(world, memory, integers<float>(21, world.rank()), kLineFloats);
  world.barrier();
  for (std::size_t i = 0; i < 1024; ++i) {
    const bool summed = i >= kLineFloats && i < kLineFloats + 21;
    EXPECT_EQ(floats_of(memory)[i] == -1.0f, !summed) << i;
  }
}

// Ranks start buckets at different times and poll at different speeds, and use the sums at once.
TEST(DirectSum, SeveralUnderWayOnOneMemory) {
  const Communicator world = Communicator::world();
  constexpr std::size_t kBuckets = 4, kSize = 100'000, kStride = 100'000 / 16 * 16 + 16;
  const SharedMemory memory(world, kBuckets * kStride * sizeof(float), "test");
  const auto bucket = [&](std::size_t b) { return floats_of(memory).subspan(b * kStride, kSize); };
  std::vector<AsyncAllReduce> reduces;
  for (std::size_t b = 0; b < kBuckets; ++b)
    reduces.emplace_back(world, kSize, AllReduceOptions{}, &memory);
  for (int round = 0; round < 4; ++round) {
    std::vector<std::vector<float>> expected;
    for (std::size_t b = 0; b < kBuckets; ++b) {
      const auto given = integers<float>(kSize, world.rank() + round + static_cast<int>(b));
      expected.push_back(sum_by_mpi(given));
      std::ranges::copy(given, bucket(b).begin());
    }
    for (std::size_t b = 0; b < kBuckets; ++b) {
      reduces[b].start(bucket(b), static_cast<std::uint64_t>(round) * kBuckets + b, "bucket");
      for (int poll = 0; poll < world.rank() * 3; ++poll) reduces[b / 2].progress();
      std::vector<double> statistics = integers<double>(7, world.rank());
      const auto sums = sum_by_mpi(statistics);
      all_reduce_sum<double>(world, statistics, "statistics");
      EXPECT_EQ(statistics, sums);
    }
    for (std::size_t b = 0; b < kBuckets; ++b) {
      reduces[b].finish();
      EXPECT_TRUE(std::ranges::equal(bucket(b), expected[b])) << b;
      std::ranges::fill(bucket(b), 0.0f);  // while others may not yet know that they are done
    }
  }
}

TEST(DirectSum, NotANumberIsTheSameOnAllRanks) {
  const Communicator world = Communicator::world();
  const SharedMemory memory(world, 4096, "test");
  std::vector<float> values(1024, 1.0f);
  for (std::size_t i = 0; i < values.size(); i += 3)
    values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(0x7fc00001 + world.rank()));
  EXPECT_TRUE(same_on_all(world, summed_in(world, memory, values)));
}

TEST(DirectSum, ValuesElsewhereAreAnError) {
  const Communicator world = Communicator::world();
  if (world.size() != 2) return;  // with more ranks some would wait for those that threw
  const SharedMemory memory(world, 4096, "test");
  AsyncAllReduce reduce(world, 100, {}, &memory);
  std::vector<float> outside(100);
  EXPECT_THROW(reduce.start(outside, 1, "outside"), InternalError);
  AsyncAllReduce unaligned(world, 100, {}, &memory);
  EXPECT_THROW(unaligned.start(floats_of(memory).subspan(1, 100), 1, "unaligned"), InternalError);

  const std::size_t rank = static_cast<std::size_t>(world.rank());
  AsyncAllReduce moved(world, 100, {}, &memory), uneven(world, 100, {}, &memory);
  moved.start(floats_of(memory).subspan(rank * kLineFloats, 100), 1, "moved");
  EXPECT_THROW(moved.finish(), CommError);
  uneven.start(floats_of(memory).first(100 - rank), 2, "uneven");
  EXPECT_THROW(uneven.finish(), CommError);
}

// /dev/shm as full as can be: for the values, and for everything.
TEST(SharedMemory, WithoutRoomTheSumsAreTheSame) {
  const Communicator world = Communicator::world();
  const auto values = fractions<float>(300'007, world.rank());
  const std::size_t bytes = values.size() * sizeof(float);
  const SharedMemory roomy(world, bytes, "test");
  const auto expected = summed_in(world, roomy, values);

  const Communicator little = Communicator::world({.shared_memory_bytes = bytes - 1});
  const SharedMemory own(little, bytes, "test");
  EXPECT_FALSE(own.shared());
  EXPECT_EQ(summed_in(little, own, values), expected);

  const Communicator none = Communicator::world({.shared_memory_bytes = 0});
  const SharedMemory nothing(none, bytes, "test");
  EXPECT_FALSE(nothing.shared());
  auto by_messages = values;
  all_reduce_sum<float>(world, by_messages, "ring", {.algorithm = AllReduceAlgorithm::kRing});
  EXPECT_EQ(summed_in(none, nothing, values), by_messages);
  EXPECT_EQ(summed_by_copies(none, values), by_messages);
  if (world.size() <= 2) {  // there is one order of sums only
    EXPECT_EQ(by_messages, expected);
  }

  std::vector<double> statistics = fractions<double>(70, world.rank()), by_doubling = statistics;
  all_reduce_sum<double>(none, statistics, "statistics");
  all_reduce_sum<double>(world, by_doubling, "statistics",
                         {.algorithm = AllReduceAlgorithm::kRing});
  EXPECT_EQ(statistics, by_doubling);
  EXPECT_TRUE(same_on_all(world, statistics));
}

TEST(SharedMemory, IsZeroedOnesOwnAndSeenByTheOthers) {
  const Communicator world = Communicator::world();
  const SharedMemory memory(world, 5000, "test");
  for (const float value : floats_of(memory)) EXPECT_EQ(value, 0.0f);
  world.barrier();
  floats_of(memory)[7] = static_cast<float>(world.rank());
  world.barrier();
  for (int r = 0; memory.shared() && r < world.size(); ++r)
    EXPECT_EQ(reinterpret_cast<const float*>(memory.of(r))[7], static_cast<float>(r));
  world.barrier();
}

}  // namespace
}  // namespace lockstep
