#include "coordinator/rank_cpus.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Threads, TheJobThenLaunchThenOpenMpThenTheShare) {
  const SharedCpus cpus{.ranks = 2, .cpus = 8};
  EXPECT_EQ(choose_threads({.job = 16, .launch = 3, .openmp = 2}, cpus), 16);
  EXPECT_EQ(choose_threads({.launch = 16, .openmp = 2}, cpus), 16);
  EXPECT_EQ(choose_threads({.openmp = 2}, cpus), 2);
  EXPECT_EQ(choose_threads({}, cpus), 4);
  EXPECT_EQ(choose_threads({}, {.ranks = 3, .cpus = 2}), 1);
}

TEST(Threads, OpenMpGetsNoMoreThanThereAreCpus) {
  const ThreadRequest many{.openmp = 64};
  EXPECT_EQ(choose_threads(many, {.ranks = 1, .cpus = 2}), 2);
  EXPECT_EQ(threads_not_taken(many, {.ranks = 1, .cpus = 2}),
            "OMP_NUM_THREADS = 64, but a rank has 2 CPUs: a rank takes 2 threads; parallel.threads "
            "or launch --threads "
            "has its way");
  EXPECT_NE(threads_not_taken(many, {.ranks = 2, .cpus = 2})
                .find("2 ranks share 2 CPUs: a rank takes 1 thread;"),
            std::string::npos);
  EXPECT_EQ(threads_not_taken({.openmp = 2}, {.ranks = 1, .cpus = 2}), "");
  EXPECT_EQ(threads_not_taken({.job = 4, .openmp = 64}, {.ranks = 1, .cpus = 2}), "");
  EXPECT_EQ(threads_not_taken({.launch = 4, .openmp = 4}, {.ranks = 1, .cpus = 2}), "");
}

TEST(Crowding, NamesThreadsAndTheFlagThatMendsIt) {
  EXPECT_EQ(crowding(2, {.ranks = 1, .cpus = 2}), "");
  EXPECT_EQ(crowding(2, {.ranks = 2, .cpus = 4}), "");
  EXPECT_EQ(crowding(1, {.ranks = 4, .cpus = 2}), "");  // preflight's
  EXPECT_EQ(crowding(0, {.ranks = 1, .cpus = 1}), "");  // computes nothing
  const std::string bound = crowding(8, {.ranks = 1, .cpus = 1});
  EXPECT_NE(bound.find("1 rank has 1 CPU for 8 threads each: slow; set parallel.threads = 1 "),
            std::string::npos)
      << bound;
  EXPECT_NE(bound.find("srun --cpus-per-task=8, mpirun --map-by slot:PE=8"), std::string::npos)
      << bound;
  const std::string unbound = crowding(4, {.ranks = 2, .cpus = 6});
  EXPECT_NE(
      unbound.find("2 ranks share 6 CPUs for 4 threads each: slow; set parallel.threads = 3 "),
      std::string::npos)
      << unbound;
}

}  // namespace
}  // namespace lockstep
