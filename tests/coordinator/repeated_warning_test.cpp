#include "coordinator/health/repeated_warning.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

TEST(RepeatedWarning, IsSaidWhenItsNumberHasDoubled) {
  RepeatedWarning warning;
  std::vector<std::string> said;
  for (int i = 1; i <= 1000; ++i)
    if (const std::string now = warning.add("step " + std::to_string(i)); !now.empty())
      said.push_back(now);
  ASSERT_EQ(said.size(), 10u);
  EXPECT_EQ(said[0], "step 1");
  EXPECT_EQ(said[1], "step 2 (2 such warnings so far)");
  EXPECT_EQ(said[9], "step 512 (512 such warnings so far)");
  EXPECT_EQ(warning.rest(), "step 1000 (1000 such warnings in all)");
}

TEST(RepeatedWarning, HasNoRestWhereAllWasSaid) {
  RepeatedWarning warning;
  EXPECT_EQ(warning.rest(), "");
  warning.add("once");
  EXPECT_EQ(warning.rest(), "");
}

}  // namespace
}  // namespace lockstep
