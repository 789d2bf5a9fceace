// Where a chain is cut: against trying every way on small chains.
#include "coordinator/stages/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <random>

#include "data/error.h"

namespace lockstep {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// Times and bytes are small integers, so that many cuts are equally good.
ChainWeights random_chain(int blocks, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto draw = [&](int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(random);
  };
  ChainWeights chain;
  for (int b = 0; b < blocks; ++b) {
    chain.names.push_back("block" + std::to_string(b));
    chain.times.push_back({1.0 * draw(1, 5), 1.0 * draw(1, 5), 1.0 * draw(0, 5)});
    chain.kept_bytes.push_back(draw(1, 9));
    chain.state_bytes.push_back(draw(0, 5));
    chain.joined.push_back(b > 0 && draw(0, 5) == 0);
    if (b == 0) continue;
    chain.values.push_back({.made = b - 1, .readers = {b}, .bytes = 1.0 * draw(1, 4)});
    if (const int reader = draw(b, blocks - 1); reader > b)
      chain.values.back().readers.push_back(reader);
  }
  return chain;
}

/// Calls `visit` with every way to begin `chunks` chunks.
void every_cut(const ChainWeights& chain, int chunks,
               const std::function<void(const std::vector<int>&)>& visit) {
  std::vector<int> first{0};
  const std::function<void()> more = [&] {
    if (static_cast<int>(first.size()) == chunks) return visit(first);
    for (int b = first.back() + 1; b < chain.size(); ++b) {
      if (chain.joined[at(b)]) continue;
      first.push_back(b);
      more();
      first.pop_back();
    }
  };
  more();
}

struct Load {
  double seconds = 0, bytes = 0, received = 0;
};

/// Of every stage, counted value by value and block by block.
std::vector<Load> loads(const ChainWeights& chain, const std::vector<int>& first,
                        const std::vector<int>& stage_of, const PartitionOptions& options) {
  std::vector<Load> loads(at(*std::ranges::max_element(stage_of)) + 1);
  const int chunks = static_cast<int>(first.size());
  const auto chunk_of = [&](int block) {
    return static_cast<int>(std::ranges::upper_bound(first, block) - first.begin()) - 1;
  };
  for (int b = 0; b < chain.size(); ++b) {
    Load& load = loads[at(stage_of[at(chunk_of(b))])];
    load.seconds += chain.times[at(b)].forward + chain.times[at(b)].backward();
    load.bytes +=
        chain.state_bytes[at(b)] + options.in_flight[at(chunk_of(b))] * chain.kept_bytes[at(b)];
  }
  for (const ChainWeights::Value& value : chain.values)
    for (int c = 0; c < chunks; ++c) {
      const bool reads =
          std::ranges::any_of(value.readers, [&](int r) { return chunk_of(r) == c; });
      if (!reads || stage_of[at(c)] == stage_of[at(chunk_of(value.made))]) continue;
      loads[at(stage_of[at(c)])].received += value.bytes;
    }
  for (Load& load : loads) load.seconds += 2 * options.seconds_per_byte * load.received;
  return loads;
}

double worst(const std::vector<Load>& loads) {
  double worst = 0;
  for (const Load& load : loads) worst = std::max(worst, load.seconds);
  return worst;
}

double received(const std::vector<Load>& loads) {
  double sum = 0;
  for (const Load& load : loads) sum += load.received;
  return sum;
}

bool fits(const std::vector<Load>& loads, const PartitionOptions& options) {
  return options.stage_bytes == 0 || std::ranges::all_of(loads, [&](const Load& load) {
           return load.bytes <= options.stage_bytes;
         });
}

/// The answer has the least time of all cuts that fit, and of those the fewest bytes.
void expect_best(const ChainWeights& chain, const std::vector<int>& stage_of,
                 const PartitionOptions& options, const std::function<Partition()>& solve) {
  double least = std::numeric_limits<double>::infinity(), fewest = least;
  every_cut(chain, options.chunks, [&](const std::vector<int>& first) {
    const std::vector<Load> here = loads(chain, first, stage_of, options);
    if (!fits(here, options)) return;
    const double seconds = worst(here);
    if (seconds > least + 1e-9) return;
    fewest = seconds < least - 1e-9 ? received(here) : std::min(fewest, received(here));
    least = std::min(least, seconds);
  });
  if (least == std::numeric_limits<double>::infinity()) {
    EXPECT_THROW(solve(), ConfigError);
    return;
  }
  const Partition found = solve();
  const std::vector<Load> here = loads(chain, found.first, stage_of, options);
  EXPECT_TRUE(fits(here, options));
  EXPECT_NEAR(worst(here), least, 1e-9);
  EXPECT_NEAR(found.best, least, 1e-9);
  EXPECT_NEAR(received(here), fewest, 1e-9);
}

TEST(Partition, EqualsSearchingEverything) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const ChainWeights chain = random_chain(4 + static_cast<int>(seed % 7), seed);
    for (int chunks : {1, 2, 3, 4}) {
      PartitionOptions options{.chunks = chunks,
                               .in_flight = {4, 3, 2, 1},
                               .stage_bytes = 0,
                               .seconds_per_byte = 0.25 * static_cast<double>(seed % 3)};
      if (seed % 2) options.stage_bytes = 50 + static_cast<double>(seed % 60);
      expect_best(chain, {0, 1, 2, 3}, options, [&] { return partition(chain, options); });
    }
  }
}

TEST(Partition, FoldedEqualsSearchingEverything) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const ChainWeights chain = random_chain(6 + static_cast<int>(seed % 5), 1000 + seed);
    for (int stages : {1, 2, 3}) {
      PartitionOptions options{.chunks = 2 * stages,
                               .in_flight = {3, 2, 2, 1, 1, 1},
                               .stage_bytes = 0,
                               .seconds_per_byte = 0.25 * static_cast<double>(seed % 3)};
      if (seed % 2) options.stage_bytes = 60 + static_cast<double>(seed % 60);
      std::vector<int> stage_of;
      for (int c = 0; c < 2 * stages; ++c) stage_of.push_back(std::min(c, 2 * stages - 1 - c));
      expect_best(chain, stage_of, options, [&] { return partition_folded(chain, options); });
    }
  }
}

/// An encoder and a decoder with a skip from each level to its twin.
ChainWeights hourglass(int levels) {
  ChainWeights chain;
  const int blocks = 2 * levels;
  for (int b = 0; b < blocks; ++b) {
    const int level = std::min(b, blocks - 1 - b);
    chain.names.push_back("level" + std::to_string(b));
    chain.times.push_back({1, 1, 1});
    chain.kept_bytes.push_back(1);
    chain.state_bytes.push_back(1);
    chain.joined.push_back(false);
    if (b + 1 == blocks) continue;
    const double bytes = 1 << (levels - level);
    chain.values.push_back({.made = b, .readers = {b + 1}, .bytes = bytes / 8});
    if (b < levels - 1)
      chain.values.push_back({.made = b, .readers = {blocks - 1 - b}, .bytes = bytes});
  }
  return chain;
}

TEST(Partition, FoldingKeepsLongSkipsAtHome) {
  const ChainWeights chain = hourglass(4);
  const PartitionOptions options{.chunks = 4, .in_flight = {2, 2, 2, 2}, .seconds_per_byte = 1e-3};
  const Partition folded = partition_folded(chain, options);
  const Partition linear =
      partition(chain, {.chunks = 2, .in_flight = {2, 1}, .seconds_per_byte = 1e-3});
  const double far =
      received(loads(chain, linear.first, {0, 1}, {.chunks = 2, .in_flight = {2, 1}}));
  const double near = received(loads(chain, folded.first, {0, 1, 1, 0}, options));
  EXPECT_EQ(folded.first[1], 2);
  EXPECT_EQ(folded.first[3], 6);
  EXPECT_LT(near, 0.2 * far);
}

TEST(Partition, ByHand) {
  ChainWeights chain = hourglass(3);
  EXPECT_EQ(partition_by_hand(chain, {"level2", "level4"}, 3).first, (std::vector<int>{0, 2, 4}));
  EXPECT_THROW(partition_by_hand(chain, {"level2"}, 3), ConfigError);
  EXPECT_THROW(partition_by_hand(chain, {"level4", "level2"}, 3), ConfigError);
  EXPECT_THROW(partition_by_hand(chain, {"level0", "level2"}, 3), ConfigError);
  chain.joined[2] = true;
  EXPECT_THROW(partition_by_hand(chain, {"level2", "level4"}, 3), ConfigError);
  try {
    partition_by_hand(chain, {"levl4", "level5"}, 3);
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean 'level4'"), std::string::npos) << e.what();
  }
}

TEST(Partition, SaysWhatWouldFit) {
  const ChainWeights chain = hourglass(2);
  try {
    partition(chain, {.chunks = 5, .in_flight = {1, 1, 1, 1, 1}});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find("4 blocks, too few for 5"), std::string::npos) << e.what();
  }
  try {
    partition(chain, {.chunks = 2, .in_flight = {2, 1}, .stage_bytes = 2});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find("memory.budget_mib"), std::string::npos) << e.what();
  }
}

TEST(Partition, DeepChainsTakeSecondsAtMost) {
  const auto begin = std::chrono::steady_clock::now();
  const ChainWeights chain = random_chain(1700, 5);
  const Partition eight = partition(chain, {.chunks = 8});
  const Partition folded = partition_folded(chain, {.chunks = 8});
  EXPECT_EQ(eight.first.size(), 8u);
  EXPECT_EQ(folded.first.size(), 8u);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("1700 blocks into 8 chunks, linear and folded: %.2f s\n", seconds.count());
  for (const Partition& p : {eight, folded})
    for (std::size_t c = 1; c < p.first.size(); ++c) {
      EXPECT_LT(p.first[c - 1], p.first[c]);
      EXPECT_FALSE(chain.joined[at(p.first[c])]);
    }
}

}  // namespace
}  // namespace lockstep
