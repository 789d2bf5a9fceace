#include "coordinator/overcommit.h"

#include <gtest/gtest.h>

#include "coordinator/probe.h"
#include "data/error.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/model.h"

namespace lockstep {
namespace {

constexpr std::size_t kGib = std::size_t{1} << 30;

MachineUse use_of(const std::vector<std::size_t>& gib, std::size_t machine_gib) {
  std::vector<RankNeed> needs;
  for (const std::size_t g : gib)
    needs.push_back({.machine = 7, .bytes = g * kGib, .machine_bytes = machine_gib * kGib});
  return fullest_machine(needs);
}

TEST(Overcommit, TheProgramItselfTakesMemoryToo) {
  constexpr std::size_t kMib = std::size_t{1} << 20;
  EXPECT_EQ(usable_memory(400 * kMib, 1), 336 * kMib);
  EXPECT_EQ(usable_memory(400 * kMib, 2), 272 * kMib);
  EXPECT_EQ(usable_memory(400 * kMib, 8), 200 * kMib);  // never less than half
  EXPECT_EQ(usable_memory(10 * kGib, 4), 9 * kGib);
  EXPECT_EQ(rank_share(400 * kMib, 2), 136 * kMib);
}

TEST(Overcommit, RanksOfAMachineMustFitNineTenthsOfItTogether) {
  EXPECT_FALSE(use_of({65}, 23).fits());
  EXPECT_TRUE(use_of({20}, 23).fits());
  EXPECT_FALSE(use_of({22}, 23).fits());
  EXPECT_TRUE(use_of({4, 4, 4, 4}, 23).fits());
  EXPECT_FALSE(use_of({6, 6, 6, 6}, 23).fits());
  EXPECT_TRUE(use_of({15, 2, 2, 1}, 23)
                  .fits());  // stages: more than a quarter of it, but together they fit
  EXPECT_EQ(rank_share(40 * kGib, 4), 9 * kGib);
  EXPECT_EQ(rank_share(1000, 4), std::size_t{1} << 20);
}

TEST(Overcommit, EveryMachineIsJudgedByItself) {
  const std::vector<RankNeed> needs{
      {1, 9 * kGib, 32 * kGib}, {2, 5 * kGib, 8 * kGib}, {1, 9 * kGib, 32 * kGib}};
  const MachineUse fullest = fullest_machine(needs);
  EXPECT_TRUE(fullest.fits());
  EXPECT_EQ(fullest.ranks, 1);
  EXPECT_EQ(fullest.heaviest, 1);
  EXPECT_EQ(fullest.machine_bytes, 8 * kGib);
  std::vector<RankNeed> limited = needs;
  limited[2].machine_bytes = 16 * kGib;  // a control group of this rank alone
  const MachineUse over = fullest_machine(limited);
  EXPECT_FALSE(over.fits());
  EXPECT_EQ(over.ranks, 2);
  EXPECT_EQ(over.bytes, 18 * kGib);
  EXPECT_EQ(over.machine_bytes, 16 * kGib);
}

TEST(Overcommit, UnknownLimitsFitEverything) {
  EXPECT_TRUE(fullest_machine(std::vector<RankNeed>{{.bytes = 900 * kGib}}).fits());
  EXPECT_TRUE(fullest_machine({}).fits());
}

TEST(Overcommit, SaysWhoNeedsWhatAndWhatToDo) {
  const std::string text =
      overcommit_text(use_of({33, 32}, 23), "memory.recompute = auto makes it fit");
  EXPECT_EQ(
      text,
      "2 ranks on one machine need 65.0 GiB together, the largest 33.0 GiB, but it has 23.0 GiB "
      "(its memory, or its "
      "control group's limit), 20.7 GiB for what is planned: memory.recompute = auto makes it fit. "
      "memory.budget_mib sets a limit of your own instead; memory.on_overcommit = warn goes on all "
      "the same");
}

/// ResNet-20 with many images, and budgets that are handed in.
class FitMemory : public testing::Test {
 protected:
  std::size_t bytes(const Recomputation& recompute) {
    PlanOptions options = training_;
    options.recompute = recompute;
    return total_bytes(rank_memory(graph_, make_plan(graph_, backend_, options),
                                   make_plan(graph_, backend_, evaluation_), backend_, {}));
  }
  std::string error(MemoryLimits limits) {
    try {
      fit_memory(graph_, backend_, training_, evaluation_, limits);
      return "";
    } catch (const ConfigError& e) {
      return e.what();
    }
  }

  Graph graph_ = build_model({.family = "resnet", .depth = 20}, {3, 32, 32}, 10);
  LayoutKind layout_ = cpu::best_layout(graph_);
  cpu::CpuBackend backend_{graph_, {.layout = layout_}};
  PlanOptions training_{.max_images = 64, .layout = layout_, .recompute = {}};
  PlanOptions evaluation_{.training = false,
                          .batch_statistics = false,
                          .max_images = 64,
                          .layout = layout_,
                          .recompute = {}};
};

TEST_F(FitMemory, AShareOfTheMachineIsNamedAndSaysWhatWouldFit) {
  const std::size_t whole = bytes({});
  const std::string tight = error({.budget_bytes = whole - 1, .of_machine = true});
  EXPECT_TRUE(tight.starts_with("a rank's share of that is ")) << tight;
  EXPECT_NE(tight.find("memory.recompute = auto makes it fit"), std::string::npos) << tight;
  const std::string tighter = error({.budget_bytes = whole / 8, .of_machine = true});
  EXPECT_NE(tighter.find("train.micro_batches"), std::string::npos) << tighter;
  EXPECT_NE(tighter.find("times the machines"), std::string::npos) << tighter;
  const std::string impossible = error({.budget_bytes = 1000, .of_machine = true});
  EXPECT_NE(impossible.find("parallel.stages"), std::string::npos) << impossible;
  const std::string own = error({.budget_bytes = whole - 1, .advises = false});
  EXPECT_TRUE(own.starts_with("memory.budget_mib: a rank has ")) << own;
  EXPECT_TRUE(own.ends_with("for 64 images at a time")) << own;
}

TEST_F(FitMemory, WhatNeedNotFitGetsTheLeast) {
  MemoryLimits limits{.recompute = {.kind = RecomputeKind::kAuto, .seconds = {}},
                      .budget_bytes = 1000,
                      .of_machine = true};
  EXPECT_NE(error(limits), "");
  limits.must_fit = false;
  EXPECT_LT(bytes(fit_memory(graph_, backend_, training_, evaluation_, limits)), bytes({}));
}

TEST_F(FitMemory, AProbeKeepsToTheBudget) {
  const PlanOptions plan{.max_images = 64, .layout = layout_, .recompute = {}};
  RankOptions options{.plan = plan};
  const std::size_t whole = probe_bytes(graph_, options);
  options.memory.budget_bytes = whole;
  EXPECT_EQ(probe_bytes(graph_, options), whole);
  options.memory.budget_bytes = whole / 3;
  EXPECT_LE(probe_bytes(graph_, options), whole / 3);
  options.memory.budget_bytes = 1;  // one image for each lane is the least
  EXPECT_GT(probe_bytes(graph_, options), 1u);
}

}  // namespace
}  // namespace lockstep
