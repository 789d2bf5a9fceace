#include "worker/comm/all_reduce.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "data/error.h"
#include "tests/worker/comm/values.h"
#include "worker/comm/communicator.h"

namespace lockstep {
namespace {

// Odd sizes around P and around segments of 5 values.
std::vector<std::size_t> sizes(int ranks) {
  const auto p = static_cast<std::size_t>(ranks);
  return {0, 1, 2, p - 1, p, p + 1, 3 * p - 1, 5 * p, 5 * p + 1, 11 * p + 3, 97, 1001};
}

// One way to all-reduce, by which all sizes are tried.
struct Way {
  const char* name;
  AllReduceOptions options;
};

constexpr auto kRing = AllReduceAlgorithm::kRing;
const Way kWays[] = {
    {"ring, segments of 1 float",
     {.algorithm = kRing, .small_bytes = 0, .segment_bytes = 4, .window = 1}},
    {"ring, segments of 5 floats",
     {.algorithm = kRing, .small_bytes = 0, .segment_bytes = 20, .window = 3}},
    {"ring, odd segment bytes",
     {.algorithm = kRing, .small_bytes = 0, .segment_bytes = 127, .window = 8}},
    {"ring, one segment", {.algorithm = kRing, .small_bytes = 0}},
    {"recursive doubling", {.algorithm = kRing, .small_bytes = 1 << 20}},
    {"shared memory, small", {.small_bytes = 1 << 20}},
    {"shared memory, large", {.small_bytes = 0}},
    {"halving and doubling",
     {.table = {{{SumKind::kSums, AllReduceTable::kNoEnd, SumMethod::kHalvingDoubling}}}}},
    {"mpi", {.algorithm = AllReduceAlgorithm::kMpi}},
};

template <typename T>
void expect_near(const std::vector<T>& ours, const std::vector<T>& theirs, double tolerance) {
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_NEAR(ours[i], theirs[i], tolerance * std::abs(theirs[i])) << "value " << i;
  }
}

template <typename T>
void try_all_sizes(const Way& way) {
  SCOPED_TRACE(way.name);
  const Communicator world = Communicator::world();
  for (const std::size_t size : sizes(world.size())) {
    SCOPED_TRACE(size);
    std::vector<T> exact = integers<T>(size, world.rank());
    const std::vector<T> expected = sum_by_mpi(exact);
    all_reduce_sum<T>(world, exact, "integers", way.options);
    EXPECT_EQ(exact, expected);

    std::vector<T> rounded = fractions<T>(size, world.rank());
    std::vector<T> again = rounded;
    const std::vector<T> near = sum_by_mpi(rounded);
    all_reduce_sum<T>(world, rounded, "fractions", way.options);
    all_reduce_sum<T>(world, again, "fractions again", way.options);
    expect_near(rounded, near, sizeof(T) == 4 ? 1e-6 : 1e-14);
    EXPECT_EQ(rounded, again);
    if (way.options.algorithm != AllReduceAlgorithm::kMpi) {
      EXPECT_TRUE(same_on_all(world, rounded));
    }
  }
}

TEST(AllReduce, EqualsMpiInFloat) {
  for (const Way& way : kWays) try_all_sizes<float>(way);
}

TEST(AllReduce, EqualsMpiInDouble) {
  for (const Way& way : kWays) try_all_sizes<double>(way);
}

// Sums of all small sizes one after the other: lines, blocks and ends of both, in both slots.
TEST(AllReduce, SmallSumsOfAllSizesFollowEachOther) {
  const Communicator world = Communicator::world();
  for (std::size_t size = 1; size < 20'000; size += 1 + size / 3) {
    for (int round = 0; round < 3; ++round) {
      std::vector<double> statistics = integers<double>(size / 4, world.rank() + round);
      std::vector<float> values = integers<float>(size, world.rank() + round);
      const auto expected_statistics = sum_by_mpi(statistics);
      const auto expected = sum_by_mpi(values);
      for (const auto algorithm : {AllReduceAlgorithm::kAuto, kRing}) {
        auto ours = statistics;
        auto floats = values;
        all_reduce_sum<double>(world, ours, "statistics", {.algorithm = algorithm});
        all_reduce_sum<float>(world, floats, "values",
                              {.algorithm = algorithm, .small_bytes = 64 << 10});
        EXPECT_EQ(ours, expected_statistics) << size;
        EXPECT_EQ(floats, expected) << size;
      }
    }
  }
}

TEST(AllReduce, SmallSizesThatDoNotAgreeAreAnError) {
  const Communicator world = Communicator::world();
  if (world.size() != 2) return;  // with more ranks some would wait for those that threw
  for (const std::size_t size : {10, 4000}) {
    std::vector<float> values(size + static_cast<std::size_t>(2 * world.rank()), 1.0f);
    EXPECT_THROW(all_reduce_sum<float>(world, values, "uneven"), CommError);
  }
}

TEST(AllReduce, LargerThanManySegments) {
  const Communicator world = Communicator::world();
  const std::vector<float> given = integers<float>(1'300'001, world.rank());
  const std::vector<float> expected = sum_by_mpi(given);
  for (const auto algorithm : {AllReduceAlgorithm::kAuto, kRing}) {
    std::vector<float> values = given;
    all_reduce_sum<float>(world, values, "large", {.algorithm = algorithm});
    EXPECT_EQ(values, expected);
  }
}

TEST(AllReduce, SegmentsAndWindowDoNotChangeBits) {
  const Communicator world = Communicator::world();
  std::vector<float> one = fractions<float>(1003, world.rank());
  std::vector<float> other = one;
  all_reduce_sum<float>(world, one, "one",
                        {.algorithm = kRing, .small_bytes = 0, .segment_bytes = 20, .window = 2});
  all_reduce_sum<float>(world, other, "other",
                        {.algorithm = kRing, .small_bytes = 0, .segment_bytes = 4000});
  EXPECT_EQ(one, other);
}

// Orders of sums differ from three ranks on, so the bits tell which algorithm was used.
TEST(AllReduce, TheTableDecides) {
  const Communicator world = Communicator::world();
  const std::vector<double> values = fractions<double>(1003, world.rank());
  const auto summed = [&](const AllReduceOptions& options) {
    auto sums = values;
    all_reduce_sum<double>(world, sums, "by table", options);
    return sums;
  };
  const auto by_table = [&](SumMethod method) {
    return summed({.table = {{{SumKind::kSums, 100, SumMethod::kMpi},
                              {SumKind::kSums, 1003 * sizeof(double), method}}}});
  };
  const auto shared = summed({});
  const auto ring = summed({.algorithm = kRing, .small_bytes = 0});
  const auto doubling = summed({.algorithm = kRing, .small_bytes = 1 << 20});
  EXPECT_EQ(by_table(SumMethod::kShared), shared);
  EXPECT_EQ(by_table(SumMethod::kRing), ring);
  EXPECT_EQ(by_table(SumMethod::kRecursiveDoubling), doubling);
  EXPECT_EQ(by_table(SumMethod::kMpi), summed({.algorithm = AllReduceAlgorithm::kMpi}));
  if (world.size() > 2) {
    EXPECT_NE(shared, ring);
  }
  EXPECT_EQ(summed({.table = {{{SumKind::kSums, 100, SumMethod::kRing}}}}), shared);  // no row
}

TEST(AsyncAllReduce, TheTableDecides) {
  const Communicator world = Communicator::world();
  const std::vector<float> values = fractions<float>(1003, world.rank());
  const auto summed = [&](const AllReduceOptions& options) {
    auto sums = values;
    AsyncAllReduce reduce(world, sums.size(), options);
    reduce.start(sums, 1, "by table");
    reduce.finish();
    return sums;
  };
  const auto by_table = [&](SumMethod method) {
    return summed({.table = {{{SumKind::kGradients, AllReduceTable::kNoEnd, method}}}});
  };
  const auto shared = summed({}), ring = summed({.algorithm = kRing});
  EXPECT_EQ(by_table(SumMethod::kShared), shared);
  EXPECT_EQ(by_table(SumMethod::kRing), ring);
  const auto halving = by_table(SumMethod::kHalvingDoubling);
  expect_near(halving, ring, 1e-6);
  EXPECT_TRUE(same_on_all(world, halving));
  if (world.size() > 3) {
    EXPECT_NE(halving, ring);
  }
  expect_near(by_table(SumMethod::kMpi), ring, 1e-6);
  if (world.size() > 2) {
    EXPECT_NE(shared, ring);
  }
}

// Rounded to 8 bits before each hop, P hops in the ring.
TEST(AsyncAllReduce, Bf16OnTheWireRoundsTheSameOnAllRanks) {
  const Communicator world = Communicator::world();
  for (const SumMethod method : {SumMethod::kRing, SumMethod::kHalvingDoubling}) {
    const AllReduceOptions options{
        .wire = Wire::kBf16,
        .segment_bytes = 36,
        .table = {{{SumKind::kGradients, AllReduceTable::kNoEnd, method}}}};
    AsyncAllReduce reduce(world, 1001, options);
    std::uint64_t sequence = 0;
    for (const std::size_t size : sizes(world.size())) {
      SCOPED_TRACE(std::string(to_string(method)) + " " + std::to_string(size));
      const auto given = fractions<float>(size, world.rank());
      auto values = given, again = given;
      for (auto* sums : {&values, &again}) {
        reduce.start(*sums, sequence++, "bf16");
        reduce.finish();
      }
      EXPECT_EQ(values, again);
      EXPECT_TRUE(same_on_all(world, values));
      expect_near(values, sum_by_mpi(given), world.size() / 256.0);
      std::vector<float> exact(size, static_cast<float>(world.rank() + 1));
      const auto expected = sum_by_mpi(exact);
      reduce.start(exact, sequence++, "small integers");
      reduce.finish();
      EXPECT_EQ(exact, expected);
    }
    if (world.size() == 1) continue;
    auto values = fractions<float>(1001, world.rank());
    const auto exact = sum_by_mpi(values);
    reduce.start(values, sequence++, "rounded");
    reduce.finish();
    EXPECT_NE(values, exact);
  }
}

TEST(AllReduce, NotANumberIsTheSameOnAllRanks) {
  const Communicator world = Communicator::world();
  for (const auto& [algorithm, small] :
       {std::pair{kRing, 0}, std::pair{kRing, 1 << 20}, std::pair{AllReduceAlgorithm::kAuto, 0},
        std::pair{AllReduceAlgorithm::kAuto, 1 << 20}}) {
    std::vector<float> values(64, 1.0f);
    const auto payload = static_cast<std::uint32_t>(0x7fc00001 + world.rank());
    values[static_cast<std::size_t>(world.rank()) % 3] = std::bit_cast<float>(payload);
    all_reduce_sum<float>(world, values, "nan",
                          {.algorithm = algorithm, .small_bytes = static_cast<std::size_t>(small)});
    EXPECT_TRUE(std::isnan(values[0]));
    EXPECT_TRUE(same_on_all(world, values));
  }
}

TEST(AsyncAllReduce, SumsAgainAndAgain) {
  const Communicator world = Communicator::world();
  for (const auto algorithm : {AllReduceAlgorithm::kAuto, kRing, AllReduceAlgorithm::kMpi}) {
    AsyncAllReduce reduce(world, 1001, {.algorithm = algorithm, .segment_bytes = 36});
    EXPECT_TRUE(reduce.idle());
    std::uint64_t sequence = 32760;  // past the end of the tags
    for (const std::size_t size : sizes(world.size())) {
      std::vector<float> values = integers<float>(size, world.rank());
      const std::vector<float> expected = sum_by_mpi(values);
      reduce.start(values, sequence++, "again");
      reduce.finish();
      EXPECT_TRUE(reduce.idle());
      EXPECT_TRUE(reduce.progress());
      EXPECT_EQ(values, expected) << size;
    }
  }
}

TEST(AsyncAllReduce, SeveralUnderWayBesideASmallOne) {
  const Communicator world = Communicator::world();
  constexpr std::size_t kBuckets = 5;
  std::vector<AsyncAllReduce> reduces;
  std::vector<std::vector<float>> buckets, expected;
  for (std::size_t b = 0; b < kBuckets; ++b) {
    buckets.push_back(integers<float>(3000 * b + b, world.rank() + static_cast<int>(b)));
    expected.push_back(sum_by_mpi(buckets.back()));
    reduces.emplace_back(world, buckets.back().size(), AllReduceOptions{.segment_bytes = 1020});
  }
  for (int round = 0; round < 3; ++round) {
    auto values = buckets;
    for (std::size_t b = 0; b < kBuckets; ++b) {
      reduces[b].start(values[b], static_cast<std::uint64_t>(round) * kBuckets + b, "bucket");
      if (world.rank() % 2 == 0) reduces[b / 2].progress();
      std::vector<double> statistics = integers<double>(7, world.rank());
      const auto sums = sum_by_mpi(statistics);
      all_reduce_sum<double>(world, statistics, "statistics");
      EXPECT_EQ(statistics, sums);
    }
    for (std::size_t b = 0; b < kBuckets; ++b) {
      reduces[b].finish();
      EXPECT_EQ(values[b], expected[b]) << b;
    }
  }
}

TEST(AsyncAllReduce, ProgressAloneComesToTheEnd) {
  const Communicator world = Communicator::world();
  std::vector<float> values = integers<float>(4099, world.rank());
  const std::vector<float> expected = sum_by_mpi(values);
  AsyncAllReduce reduce(world, values.size(), {.segment_bytes = 256, .window = 2});
  reduce.start(values, 1, "polled");
  while (!reduce.progress()) {
  }
  EXPECT_TRUE(reduce.idle());
  EXPECT_EQ(values, expected);
}

TEST(AsyncAllReduce, RefusesASecondStartAndTooManyValues) {
  const Communicator world = Communicator::world();
  AsyncAllReduce reduce(world, 10);
  std::vector<float> values(11, 1.0f);
  EXPECT_THROW(reduce.start(values, 1, "too large"), InternalError);
  const std::span<float> first(values.data(), 10);
  reduce.start(first, 1, "first");
  if (!reduce.idle()) {
    EXPECT_THROW(reduce.start(first, 2, "second"), InternalError);
  }
  reduce.finish();
  EXPECT_EQ(values[9], static_cast<float>(world.size()));
}

TEST(AsyncAllReduce, SizesThatDoNotAgreeAreAnError) {
  const Communicator world = Communicator::world();
  if (world.size() != 2) return;  // with more ranks some would wait for those that threw
  std::vector<float> values(world.rank() == 0 ? 10 : 12, 1.0f);
  AsyncAllReduce reduce(world, 12);
  reduce.start(values, 1, "uneven");
  try {
    reduce.finish();
    FAIL() << "no error";
  } catch (const CommError& error) {
    EXPECT_NE(std::string(error.what()).find("\"uneven\", peer rank"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace lockstep
