#include "coordinator/rank_cpus.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Crowding, NamesThreadsAndTheFlagThatMendsIt) {
  EXPECT_EQ(crowding(2, {.ranks = 1, .cpus = 2}), "");
  EXPECT_EQ(crowding(2, {.ranks = 2, .cpus = 4}), "");
  EXPECT_EQ(crowding(1, {.ranks = 4, .cpus = 2}), "");  // preflight's
  EXPECT_EQ(crowding(0, {.ranks = 1, .cpus = 1}), "");  // computes nothing
  const std::string bound = crowding(8, {.ranks = 1, .cpus = 1});
  EXPECT_NE(bound.find("1 rank has 1 CPU for 8 threads each: slow; set parallel.threads = 1 "), std::string::npos) << bound;
  EXPECT_NE(bound.find("srun --cpus-per-task=8, mpirun --map-by slot:PE=8"), std::string::npos) << bound;
  const std::string unbound = crowding(4, {.ranks = 2, .cpus = 6});
  EXPECT_NE(unbound.find("2 ranks share 6 CPUs for 4 threads each: slow; set parallel.threads = 3 "), std::string::npos) << unbound;
}

}  // namespace
}  // namespace lockstep
