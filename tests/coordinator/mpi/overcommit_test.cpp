// What ranks will take is held against machines whose memory is handed in.
#include "coordinator/overcommit.h"

#include <gtest/gtest.h>

#include "coordinator/engine.h"
#include "data/error.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/model.h"

namespace lockstep {
namespace {

/// Rank r will take (r + 1) MiB.
MemoryDemand demand_of(int rank) {
  return {.bytes = static_cast<std::size_t>(rank + 1) << 20,
          .what_would_fit = [rank](std::size_t share) {
            return "rank " + std::to_string(rank) + " advises for " + std::to_string(share >> 20) +
                   " MiB";
          }};
}

TEST(CheckOvercommit, AllRanksOfTheMachineCountAndAllSayTheSame) {
  const Communicator world = Communicator::world();
  const int size = world.size();
  const auto together = static_cast<std::size_t>(size * (size + 1) / 2) << 20;
  EXPECT_NO_THROW(check_overcommit(demand_of(world.rank()), world, together * 3, true));
  EXPECT_NO_THROW(check_overcommit(demand_of(world.rank()), world, together, false));  // warns
  std::string text;
  try {
    check_overcommit(demand_of(world.rank()), world, together, true);
  } catch (const ConfigError& error) {
    text = error.what();
  }
  EXPECT_TRUE(text.starts_with(std::to_string(size) + " rank")) << text;
  EXPECT_NE(text.find("rank " + std::to_string(size - 1) + " advises for "), std::string::npos)
      << text;
}

TEST(CheckOvercommit, APlanSaysWhatItsRankTakesBeforeItDoes) {
  const Communicator world = Communicator::world();
  Graph graph = build_model({.family = "resnet", .depth = 8}, {3, 32, 32}, 10);
  const PlanOptions step{.max_images = 8, .layout = cpu::best_layout(graph), .recompute = {}};
  RankPlan plan = plan_rank(graph, {.plan = step, .replicas = world.size()});
  const std::size_t asked = total_bytes(memory_of(plan));
  const std::string advice = what_would_fit(plan, asked / 10);
  EXPECT_TRUE(advice.starts_with("a rank's share of that is ")) << advice;
  const MemoryDemand demand{.bytes = asked, .what_would_fit = [&](std::size_t share_bytes) {
                              return what_would_fit(plan, share_bytes);
                            }};
  EXPECT_THROW(check_overcommit(demand, world, asked / 2, true), ConfigError);
  Engine engine(std::move(plan), world);
  EXPECT_GT(engine.state().bytes() + engine.arena_bytes(), asked / 2);
  EXPECT_LE(engine.state().bytes() + engine.arena_bytes(), asked);
}

}  // namespace
}  // namespace lockstep
