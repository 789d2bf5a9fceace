#include "data/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

// Known answers of Random123 1.14, tests/kat_vectors, "philox4x32 10".
TEST(Philox, GivesThePublishedKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, UniformFloatsCoverZeroToOneWithoutOne) {
  EXPECT_EQ(uniform_float(0), 0.0f);
  EXPECT_EQ(uniform_float(0x80000000u), 0.5f);
  EXPECT_LT(uniform_float(0xffffffffu), 1.0f);
}

TEST(Random, IntegersStayBelowTheirBoundAndReachIt) {
  EXPECT_EQ(integer_below(0, 0, 7), 0u);
  EXPECT_EQ(integer_below(0xffffffffu, 0xffffffffu, 7), 6u);
  EXPECT_EQ(integer_below(0xffffffffu, 0xffffffffu, std::uint64_t{1} << 63),
            (std::uint64_t{1} << 63) - 1);
  RandomStream random({1, 2}, {3, 4, 5});
  int counts[5] = {};
  for (int i = 0; i < 10000; ++i) ++counts[random.below(5)];
  for (const int count : counts) EXPECT_NEAR(count, 2000, 200);  // five standard deviations
}

TEST(Random, NormalNumbersHaveMeanZeroAndVarianceOne) {
  RandomStream random({1, 2}, {0, 0, 0});
  const int n = 20000;
  double sum = 0;
  double squares = 0;
  double fourth = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / n, 0.0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1.0, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourth / n, 3.0, 5 * std::sqrt(96.0 / n));
  for (const std::uint32_t extreme : {0u, 0xffffffffu}) {
    EXPECT_TRUE(std::isfinite(normal_pair(extreme, extreme)[0]));
  }
}

TEST(Random, UsesAndStreamsOfOneSeedDiffer) {
  EXPECT_NE(random_key(1, RandomUse::kOrder), random_key(1, RandomUse::kAugment));
  EXPECT_NE(random_key(1, RandomUse::kOrder), random_key(2, RandomUse::kOrder));
  const PhiloxKey key = random_key(1, RandomUse::kOrder);
  EXPECT_NE(RandomStream(key, {0, 0, 0}).next(), RandomStream(key, {1, 0, 0}).next());
  EXPECT_EQ(RandomStream(key, {7, 8, 9}).next(), RandomStream(key, {7, 8, 9}).next());
}

}  // namespace
}  // namespace lockstep
