#include "jobs/plan_verdict.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr std::size_t kMib = std::size_t{1} << 20;

PlannedNeeds needs(int ranks, std::size_t machine_mib) {
  const std::size_t rank = 100 * kMib;
  return {.report = {.stages = {}, .seconds = 0.5},
          .use = {.ranks = ranks,
                  .bytes = rank * static_cast<std::size_t>(ranks),
                  .heaviest_bytes = rank,
                  .machine_bytes = machine_mib * kMib},
          .origin = "measured",
          .steps = 7200,
          .validation_seconds = 0};
}

TEST(PlanVerdict, IsThreeLines) {
  EXPECT_EQ(
      verdict_text(needs(2, 1000)),
      "fits          164.0 MiB a rank (with 64.0 MiB for the program and MPI), 328.0 MiB the 2 "
      "ranks of a machine, of 0.98 GiB\n"
      "a step        500.0 ms, measured, messages between nodes aside\n"
      "the job       7,200 steps: 60.00 minutes\n");
  EXPECT_TRUE(verdict_text(needs(1, 120)).starts_with("does not fit  164.0 MiB a rank "));
}

TEST(PlanVerdict, CountsValidations) {
  PlannedNeeds n = needs(1, 1000);
  n.validation_seconds = 4 * 3600;
  EXPECT_DOUBLE_EQ(n.hours(), 5);
  EXPECT_NE(verdict_text(n).find("7,200 steps and validations: 5.000 hours\n"), std::string::npos);
  n.steps = 0;
  EXPECT_NE(verdict_text(n).find("unknown"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
