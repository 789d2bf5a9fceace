#include "jobs/plan_verdict.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr std::size_t kMib = std::size_t{1} << 20;

PlannedNeeds needs(std::size_t mib) {
  PlannedNeeds needs{.bytes = mib * kMib, .step_seconds = 0.5, .origin = "measured", .steps = 7200, .validation_seconds = 0};
  return needs;
}

TEST(PlanVerdict, RanksOfTheFullestNodeMustFitTogether) {
  const std::size_t rank = 936 * kMib + kProgramBytes;  // 1000 MiB
  EXPECT_TRUE(judge(needs(936), 4, 1, 4 * rank).fits());
  EXPECT_FALSE(judge(needs(936), 4, 1, 4 * rank - 1).fits());
  EXPECT_TRUE(judge(needs(936), 4, 2, 2 * rank).fits());
  EXPECT_EQ(judge(needs(936), 5, 2, 0).node_ranks, 3);
}

TEST(PlanVerdict, IsThreeLines) {
  const PlannedNeeds n = needs(936);
  EXPECT_EQ(verdict_text(judge(n, 4, 2, 3000 * kMib), n),
            "fits          0.98 GiB a rank, 1.95 GiB the 2 ranks of a node, of 2.93 GiB\n"
            "a step        500.0 ms, measured, messages between nodes aside\n"
            "the job       7,200 steps: 60.00 minutes\n");
  EXPECT_EQ(verdict_text(judge(n, 1, 1, 512 * kMib), n).substr(0, 47),
            "does not fit  0.98 GiB a rank, of 512.0 MiB\na s");
}

TEST(PlanVerdict, CountsValidations) {
  PlannedNeeds n = needs(1);
  n.validation_seconds = 4 * 3600;
  EXPECT_DOUBLE_EQ(n.hours(), 5);
  EXPECT_NE(verdict_text(judge(n, 1, 1, 512 * kMib), n).find("7,200 steps and validations: 5.000 hours\n"), std::string::npos);
  n.steps = 0;
  EXPECT_NE(verdict_text(judge(n, 1, 1, 512 * kMib), n).find("unknown"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
