// Recomputation: what is kept and replayed, and whether the solver finds what searching everything
// finds.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>

#include "coordinator/plan/recompute_choice.h"
#include "data/error.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/model.h"

namespace lockstep {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

ChainCosts random_chain(int blocks, int options, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto draw = [&](int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(random);
  };
  ChainCosts costs;
  for (int b = 0; b < blocks; ++b) {
    ChainCosts::Block block{
        .output_bytes = at(draw(1, 4)), .forward_seconds = 1.0 * draw(1, 9), .options = {}};
    ChainCosts::Option kept{.bytes = at(draw(0, 6)), .output_bytes = block.output_bytes};
    for (int o = 0; o < options; ++o) {
      block.options.push_back(kept);
      const int less = draw(0, static_cast<int>(kept.bytes));
      kept.bytes -= at(less);
      kept.seconds += less * 0.5 + draw(0, 1);
      kept.way_bytes += at(draw(0, less));
      if (draw(0, 1)) kept.output_bytes = 0, kept.output_seconds = 1;
    }
    costs.blocks.push_back(std::move(block));
  }
  return costs;
}

/// Tries every way through a chain, with the memory that it holds at each moment.
class Search {
 public:
  Search(const ChainCosts& costs, std::size_t memory) : costs_(costs), memory_(memory) {}

  double best() {
    double least = std::numeric_limits<double>::infinity();
    go(0, static_cast<int>(costs_.blocks.size()) - 1, 0, 0,
       [&](double time) { least = std::min(least, time); });
    return least;
  }

 private:
  using Then = std::function<void(double)>;

  /// Blocks first..last while `held` bytes are taken; calls `then` with the time of every way that fits.
  void go(int first, int last, std::size_t held, double time, const Then& then) {
    if (first > last) return then(time);
    for (int end = first; end <= last; ++end)
      for (int o = 0; o < static_cast<int>(costs_.blocks[at(first)].options.size()); ++o)
        segment(first, end, last, o, held, time, then);
    for (int c = first + 1; c <= last; ++c) {
      double forward = time;
      for (int b = first; b < c; ++b) forward += costs_.blocks[at(b)].forward_seconds;
      const std::size_t with = held + costs_.blocks[at(c - 1)].output_bytes;
      if (with > memory_) continue;
      go(c, last, with, forward, [&](double t) { go(first, c - 1, with, t, then); });
    }
  }

  void segment(int first, int end, int last, int o, std::size_t held, double time,
               const Then& then) {
    std::size_t with = held;
    for (int b = first; b <= end; ++b) {
      const ChainCosts::Option& option = costs_.blocks[at(b)].options[at(o)];
      with += option.bytes + (b < end ? option.output_bytes : 0);
      time += option.seconds + (b < end ? option.output_seconds : 0);
    }
    if (end < last) with += costs_.blocks[at(end)].output_bytes;
    if (with + costs_.replay_bytes(first, end, o) > memory_) return;
    go(end + 1, last, with, time, then);
  }

  const ChainCosts& costs_;
  std::size_t memory_;
};

TEST(RecomputeSolver, FindsWhatSearchingEverythingFinds) {
  int solved = 0, refused = 0;
  for (int blocks = 1; blocks <= 8; ++blocks)
    for (std::uint64_t seed = 0; seed < (blocks < 7 ? 8u : 2u); ++seed) {
      const ChainCosts costs = random_chain(blocks, blocks < 7 ? 3 : 2, seed);
      std::size_t all = 0;
      for (const auto& block : costs.blocks) all += block.output_bytes + block.options[0].bytes;
      const RecomputeSolver solver(costs, all, static_cast<int>(all));  // a slot is a byte
      ASSERT_EQ(solver.slot_bytes(), 1u);
      for (int memory = static_cast<int>(all); memory >= 0; memory -= blocks < 7 ? 1 : 3) {
        const double expected = Search(costs, at(memory)).best();
        const double found = solver.seconds(0, blocks - 1, memory);
        ASSERT_TRUE(found == expected || std::abs(found - expected) < 1e-4)
            << blocks << " blocks, seed " << seed << ", memory " << memory << ": " << found
            << ", not " << expected;
        ++(found < 1e30 ? solved : refused);
      }
    }
  EXPECT_GT(solved, 300);
  EXPECT_GT(refused, 50);
}

TEST(RecomputeSolver, RoundsMemoryUp) {
  const ChainCosts costs = random_chain(6, 3, 5);
  std::size_t all = 0;
  for (const auto& block : costs.blocks) all += block.output_bytes + block.options[0].bytes;
  const RecomputeSolver exact(costs, all, static_cast<int>(all)), coarse(costs, all, 7);
  for (int slots = 0; slots <= 7; ++slots) {
    const auto bytes = static_cast<int>(std::min(all, at(slots) * coarse.slot_bytes()));
    EXPECT_GE(coarse.seconds(0, 5, slots), exact.seconds(0, 5, bytes)) << slots;
  }
}

Graph resnet(int depth) { return build_model({.depth = depth}, {3, 32, 32}, 10); }

TEST(Chain, ABlockIsAStretchOfNames) {
  const Graph graph =
      build_model({.family = "custom", .se_reduction = 4, .counts = {1, 2}, .widths = {16, 32}},
                  {3, 16, 16}, 10);
  const Chain chain = chain_of(graph, fuse(graph));
  std::vector<std::string> names;
  for (const auto& block : chain.blocks) names.push_back(block.name);
  EXPECT_EQ(names, (std::vector<std::string>{"stem", "group1.block0", "group2.block0",
                                             "group2.block1", ""}));
  for (int b = 0; b + 1 < chain.size(); ++b)
    EXPECT_EQ(chain.blocks[at(b)].outputs.size(), 1u) << names[at(b)];
  EXPECT_TRUE(std::ranges::none_of(chain.long_skip, std::identity{}));
}

TEST(Recompute, KeepsTheOutputsOfEveryKthBlock) {
  const Graph graph = resnet(20);  // stem, 9 blocks, head
  const Chain chain = chain_of(graph, fuse(graph));
  ASSERT_EQ(chain.size(), 11);
  const Recomputation how = recompute_every(chain, 4);  // 0-3, 4-7, 8-10
  std::vector<int> kept;
  for (int b = 0; b < 8; ++b)
    for (ValueId v : chain.blocks[at(b)].made)
      if (how.keep[at(v)]) kept.push_back(b);
  EXPECT_EQ(kept, (std::vector<int>{3, 7}));
  std::vector<std::pair<int, int>> replays;
  for (const RecomputeStep& step : how.steps)
    if (step.kind == RecomputeStep::Kind::kReplay) replays.emplace_back(step.first, step.last);
  EXPECT_EQ(replays, (std::vector<std::pair<int, int>>{{4, 7}, {0, 3}}));
}

TEST(Recompute, WordsOfAJob) {
  EXPECT_EQ(parse_recompute("none").kind, RecomputeKind::kKeepAll);
  EXPECT_EQ(parse_recompute("every:3").every, 3);
  for (const char* bad : {"every", "every:", "every:0", "every:2x", "every:-1", "Sqrt", ""})
    EXPECT_THROW(parse_recompute(bad), ConfigError) << bad;
}

/// The arena of a plan that recomputes within `bytes` (0: as `kind` says).
std::size_t arena_of(const Graph& graph, const Backend& backend, RecomputeKind kind,
                     std::size_t bytes = 0) {
  PlanOptions options{.lanes = 2, .max_images = 16, .recompute = {}};
  options.recompute = choose_recomputation(graph, backend, options,
                                           {.kind = kind, .every = 2, .arena_bytes = bytes});
  return make_plan(graph, backend, options).arena_bytes;
}

TEST(Recompute, AutoFitsWhatTheOthersNeed) {
  const Graph graph = resnet(56);
  const cpu::CpuBackend backend(graph, {});
  const std::size_t whole = arena_of(graph, backend, RecomputeKind::kKeepAll);
  const std::size_t every = arena_of(graph, backend, RecomputeKind::kEvery);
  const std::size_t root = arena_of(graph, backend, RecomputeKind::kSqrt);
  EXPECT_LT(every, whole);
  EXPECT_LT(root, whole);
  for (std::size_t bytes : {whole, whole * 3 / 4, every, root})
    EXPECT_LE(arena_of(graph, backend, RecomputeKind::kAuto, bytes), bytes);
}

/// Prints how long planning takes: it must not be felt.
TEST(Recompute, OfDeepNets) {
  for (int depth : {110, 1001}) {
    const Graph graph = depth == 1001
                            ? build_model({.depth = depth, .block = "bottleneck"}, {3, 32, 32}, 10)
                            : resnet(depth);
    const cpu::CpuBackend backend(graph, {});
    const std::size_t whole = arena_of(graph, backend, RecomputeKind::kKeepAll);
    const auto begin = std::chrono::steady_clock::now();
    const std::size_t third = arena_of(graph, backend, RecomputeKind::kAuto, whole / 3);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("ResNet-%d: %.1f of %.1f MiB, planned in %.2f s\n", depth,
                static_cast<double>(third) / (1 << 20), static_cast<double>(whole) / (1 << 20),
                took.count());
    EXPECT_LE(third, whole / 3);
  }
}

}  // namespace
}  // namespace lockstep
